"""Cuts the fragments that MASS predicts (arXiv 1905.02450 §3.2): one of fixed length from each row of text.

As in the authors' code, the fragment lies at the row's start in a fifth of the rows, at its end in a fifth, and
anywhere in the others; it never holds [CLS]. Inside it, tokens read [MASK], themselves or another token by the shares
of `MaskingSettings`. Rows are packed text: a fragment may cross the end of a line, and [SEP] is then an ordinary token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daguan.data.batches.masking import Ids, Masked, MaskingSettings, replacements

AT_START, AT_END = 0.2, 0.2  # shares of the rows


@dataclass(frozen=True)
class Fragments(Masked):
    """Masked rows whose positions (B,M) are consecutive.

    Attributes:
        fed: (B,M) the true token before each position, which the decoder reads.
    """

    fed: Ids


def fragment_length(length: int, share: float) -> int:
    """Returns M for rows of `length` tokens, [CLS] included."""
    return max(1, round((length - 1) * share))


def cut_fragments(
    ids: Ids, share: float, vocabulary_size: int, settings: MaskingSettings, rng: np.random.Generator
) -> Fragments:
    """Masks one fragment in each row of packed ids (B,T); `share` is its share of the row."""
    count = fragment_length(ids.shape[1], share)
    positions = _starts(len(ids), ids.shape[1] - count, rng)[:, None] + np.arange(count)
    labels = np.take_along_axis(ids, positions, axis=1)  # before anything is overwritten
    fed = np.take_along_axis(ids, positions - 1, axis=1)
    inputs = ids.copy()
    np.put_along_axis(inputs, positions, replacements(labels, vocabulary_size, settings, rng), axis=1)
    return Fragments(inputs, positions, labels, fed)


def _starts(rows: int, last: int, rng: np.random.Generator) -> Ids:
    """Returns (B,) the first position of each fragment, from 1 to `last`."""
    draw, anywhere = rng.random(rows), rng.integers(1, last, rows, endpoint=True)
    return np.select([draw < AT_START, draw < AT_START + AT_END], [1, last], anywhere)
