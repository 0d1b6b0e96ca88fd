"""The parameters of the models in ALBERT's tables (Lan et al. 2020, arXiv 1909.11942), from their architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from daguan.experiments.claims.claim import Fact

ENTRIES, POSITIONS, SEGMENTS = 30_000, 512, 2
MILLION = 1_000_000
ALL, ATTENTION, FFN, NONE = "all", "attention", "ffn", "none"


@dataclass(frozen=True)
class Size:
    """A model of table 1.

    Attributes:
        embedding: the width of the embeddings; where it is that of the layers, nothing maps one to the other.
        shared: what all layers share: `all`, `attention`, `ffn` or `none`.
    """

    layers: int
    hidden: int
    embedding: int = 128
    shared: str = ALL

    @property
    def parameters(self) -> int:
        """Returns the number of parameters, with the pooler and without heads. The feed-forward is 4 times as wide as
        the layers; the norm after each part belongs to it."""
        h, e = self.hidden, self.embedding
        embeddings = (ENTRIES + POSITIONS + SEGMENTS + 2) * e + (e * h + h if e != h else 0)
        attention, ffn = 4 * (h * h + h) + 2 * h, 8 * h * h + 5 * h + 2 * h
        of_attention = 1 if self.shared in (ALL, ATTENTION) else self.layers
        of_ffn = 1 if self.shared in (ALL, FFN) else self.layers
        return embeddings + of_attention * attention + of_ffn * ffn + h * h + h


BASE = Size(12, 768)
LESS = "the architecture of table 1 has fewer"
POOLER = "108.5 M without the pooler"
PUBLISHED: dict[str, tuple[Size, int, str]] = {
    "ALBERT-base": (BASE, 12, ""),
    "ALBERT-large": (Size(24, 1024), 18, ""),
    "ALBERT-xlarge": (Size(24, 2048), 60, LESS),
    "ALBERT-xxlarge": (Size(12, 4096), 235, f"{LESS}; the text has 233M"),
    "BERT-base": (Size(12, 768, 768, NONE), 108, POOLER),
    "BERT-large": (Size(24, 1024, 1024, NONE), 334, ""),
    **{
        f"E={embedding}, {shared} shared": (replace(BASE, embedding=embedding, shared=shared), paper, "")
        for shared, counts in {
            ALL: {64: 10, 256: 16, 768: 31},
            NONE: {64: 87, 128: 89, 256: 93},
            ATTENTION: {128: 64, 768: 83},
            FFN: {128: 38, 768: 57},
        }.items()
        for embedding, paper in counts.items()
    },
}  # tables 1 to 4; the tables round some counts up and some down


def parameter_facts() -> Sequence[Fact]:
    """Returns each count beside the published one, in millions; they agree if they differ by less than one."""
    facts = []
    for name, (size, paper, note) in PUBLISHED.items():
        agrees = abs(size.parameters - paper * MILLION) < MILLION
        facts.append(Fact(f"parameters of {name}", size.parameters, f"{paper}M", agrees, "" if agrees else note))
    return facts
