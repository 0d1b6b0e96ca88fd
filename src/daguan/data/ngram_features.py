"""The features of the n-gram CRF as hashes. N tokens of all lines, F features of a token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daguan.data.feature_hashes import Ints, Numbers, PaddedLines, at_templates
from daguan.data.ngram_templates import TEMPLATES
from daguan.data.text_features import TextFeatures


def features(lines: Sequence[Sequence[str]], text: TextFeatures | None = None) -> tuple[Numbers, Ints]:
    """Returns the features (N,F) of the tokens of all lines, one for each template and then those of the text, and the
    lengths of the lines. NO_FEATURE stands where a token has none."""
    padded = PaddedLines.of(lines)
    columns = at_templates(padded.values, padded.places, TEMPLATES, 0)
    if text is not None:
        columns += text.columns(padded)
    return np.stack(columns, 1), padded.lengths
