"""What MASS reads and writes (arXiv 1905.02450 §3.2): rows of text from which a fragment of one length is cut.

As in the authors' code, the fragment lies at the row's start in a fifth of the rows, at its end in a fifth, anywhere in
the others; [CLS] is never in it. Inside, tokens read [MASK], themselves or another by the shares of `MaskingSettings`.
Rows are packed text: a fragment may run over the end of a line, and [SEP] is then a token as others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daguan.data.batches.masking import Ids, Masked, MaskingSettings, replacements

AT_START, AT_END = 0.2, 0.2  # shares of the rows


@dataclass(frozen=True)
class Fragments(Masked):
    """positions (B,M) follow one another; fed (B,M): the true token before each, what the decoder reads."""

    fed: Ids


def fragment_length(length: int, share: float) -> int:
    """M of rows of that length, [CLS] included."""
    return max(1, round((length - 1) * share))


def cut_fragments(
    ids: Ids, share: float, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator
) -> Fragments:
    """Rows (B,T) of packed ids with a share of each masked as one fragment."""
    count = fragment_length(ids.shape[1], share)
    positions = _starts(len(ids), ids.shape[1] - count, rng)[:, None] + np.arange(count)
    labels = np.take_along_axis(ids, positions, axis=1)  # before anything is overwritten
    fed = np.take_along_axis(ids, positions - 1, axis=1)
    inputs = ids.copy()
    np.put_along_axis(inputs, positions, replacements(labels, vocabulary_size, settings, rng), axis=1)
    return Fragments(inputs, positions, labels, fed)


def _starts(rows: int, last: int, rng: np.random.Generator) -> Ids:
    """(B,) the first places of fragments, 1 to `last`."""
    draw, anywhere = rng.random(rows), rng.integers(1, last, rows, endpoint=True)
    return np.select([draw < AT_START, draw < AT_START + AT_END], [1, last], anywhere)
