"""Which folders `predict` takes."""

import pytest

from daguan.core.errors import CheckpointError
from daguan.core.files import write_json
from daguan.core.runs import MANIFEST
from daguan.ensemble.blending import MODELS
from daguan.pipeline.work.predict import find_models


def test_a_blend_of_an_earlier_version_is_named_as_such(tmp_path):
    write_json(tmp_path / MODELS, [["fold0/model"]])
    write_json(tmp_path / MANIFEST, {"stage": "blend"})
    with pytest.raises(CheckpointError, match="expected a blend of this version, got one of an earlier version"):
        find_models(tmp_path)


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="expected a blend, a finished run or a model, got none"):
        find_models(tmp_path)
