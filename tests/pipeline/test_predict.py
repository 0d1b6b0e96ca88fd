"""Which folders `predict` takes."""

import pytest

from daguan.core.errors import CheckpointError
from daguan.pipeline.work.predict import find_models


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="expected a blend, a finished run or a model, got none"):
        find_models(tmp_path)
