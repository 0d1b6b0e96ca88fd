"""Claims about images: what is read, what the classifier computes, and each claim at toy size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax

from claim_runs import run_at_toy_size
from daguan.core.errors import DataError
from daguan.core.settings import build
from daguan.experiments.claims import label_smoothing, lookahead, multi_sample_dropout, running
from daguan.experiments.claims.claim import Part
from daguan.experiments.claims.image_classifier import ImageClassifier
from daguan.experiments.claims.images import ImageClaimSettings, image_inputs, read_images

TINY = ["train_images=64", "width=2", "updates=4", "points=2", "batch_size=16"]


def chosen(data: Path | str, **more: Any) -> ImageClaimSettings:
    return build(ImageClaimSettings, {"data": str(data), **more})


def arrays(count: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for part in ("train", "test"):
        made[f"{part}_images"] = rng.integers(0, 256, (count, 4, 5, 3), np.uint8)
        made[f"{part}_labels"] = np.arange(count, dtype=np.uint8) % 3
    return made


def test_an_npz_is_read_and_each_channel_normalised(tmp_path: Path) -> None:
    made = arrays()
    np.savez(tmp_path / "images.npz", **made)
    images = read_images(chosen(tmp_path / "images.npz"))
    assert images.train.shape == (6, 3, 4, 5)
    assert images.classes == 3
    assert images.train.mean((0, 2, 3)).abs().max() < 1e-5
    assert images.train.std((0, 2, 3), correction=0) == pytest.approx(torch.ones(3), abs=1e-5)
    scaled = images.test.permute(0, 2, 3, 1).double().numpy()
    pixels = made["test_images"].astype(float)
    restored = scaled * made["train_images"].std((0, 1, 2)) + made["train_images"].mean((0, 1, 2))
    assert np.abs(restored - pixels).max() < 1e-3
    few = read_images(chosen(tmp_path / "images.npz", train_images=2))
    assert (len(few.train), len(few.test)) == (2, 6)


def test_cifar_s_binary_version_has_its_layout(tmp_path: Path) -> None:
    def record(label: int) -> bytes:
        planes = np.zeros((3, 32, 32), np.uint8)
        planes[1, 2, 3] = 100 + label
        return bytes([label]) + planes.tobytes()

    (tmp_path / "data_batch_1.bin").write_bytes(record(0) + record(1))
    (tmp_path / "data_batch_2.bin").write_bytes(record(2))
    (tmp_path / "test_batch.bin").write_bytes(record(1))
    images = read_images(chosen(tmp_path))
    assert images.train_labels.tolist() == [0, 1, 2]
    assert images.train.shape == (3, 3, 32, 32)
    lit = images.test[0, 1]
    assert divmod(int(lit.argmax()), 32) == (2, 3)
    assert image_inputs(chosen(tmp_path))["images"].keys() == {"data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": None}, "expected the arrays train_images, train_labels, test_images, test_labels"),
        ({"train_images": np.zeros((6, 4, 5), np.uint8)}, "expected train_images (N,H,W,C) uint8, got (6, 4, 5) uint8"),
        ({"test_images": np.zeros((6, 4, 5, 3))}, "expected test_images (N,H,W,C) uint8, got (6, 4, 5, 3) float64"),
        ({"test_labels": np.zeros(5, np.uint8)}, "expected test_labels (6,) of whole numbers, got (5,) uint8"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    made = {name: value for name, value in {**arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "images.npz", **made)
    with pytest.raises(DataError) as refused:
        read_images(chosen(tmp_path / "images.npz"))
    assert message in str(refused.value)


def test_pickles_and_missing_files_are_refused_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", **{**arrays(), "train_labels": np.array([{}] * 6, object)})
    (tmp_path / "empty.npz").write_bytes(b"")
    python = tmp_path / "cifar-10-batches-py"
    python.mkdir()
    (python / "data_batch_1").write_bytes(b"\x80")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "data_batch_1.bin").write_bytes(b"1234")
    (broken / "test_batch.bin").write_bytes(b"")
    for path, message in {
        tmp_path / "objects.npz": "expected an .npz of images, got: Object arrays cannot be loaded",
        tmp_path / "empty.npz": "expected an .npz of images, got: ",
        tmp_path / "nothing.npz": "got nothing at that path",
        python: "data_batch_*.bin and test_batch.bin, got its python version, whose pickles are not read",
        tmp_path: "and test_batch.bin, got none",
        broken: "expected records of 3,073 bytes, got 4 bytes",
    }.items():
        with pytest.raises(DataError) as refused:
            read_images(chosen(path))
        assert message in str(refused.value)


def test_the_digits_are_split_once(tmp_path: Path) -> None:
    images = read_images(chosen(""))
    assert (len(images.train), len(images.test), images.classes) == (1297, 500, 10)
    assert not {one.numpy().tobytes() for one in images.train} >= {one.numpy().tobytes() for one in images.test}


def classifier(**more: Any) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier((3, 8, 8), 5, 4, 1, **more)


def test_without_noise_the_number_of_samples_changes_nothing() -> None:
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    one, four = (classifier(samples=samples).loss(images, labels) for samples in (1, 4))
    assert torch.allclose(one, four)
    assert torch.equal(classifier(samples=4, dropout=0.5).eval()(images), classifier().eval()(images))


def test_samples_share_the_features_and_average_the_losses() -> None:
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    model = classifier(samples=3, dropout=0.5)
    torch.manual_seed(1)
    together = model.loss(images, labels)
    torch.manual_seed(1)
    features = model.features(images)
    alone = [cross_entropy(model.classify(model.dropout(features)), labels) for _ in range(3)]
    assert torch.allclose(together, sum(alone, torch.zeros(())) / 3)
    assert len({loss.item() for loss in alone}) == 3


def test_smoothed_labels_have_the_mass_that_the_paper_gives_them() -> None:
    images, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    logs = log_softmax(classifier()(images), 1)  # in training: by the batch's statistics
    spread = torch.full((6, 5), 0.1 / 5).scatter_add(1, labels[:, None], torch.full((6, 1), 0.9))
    assert torch.allclose(classifier(smoothing=0.1).loss(images, labels), -(spread * logs).sum(1).mean())


def test_large_images_are_halved_at_once() -> None:
    assert [ImageClassifier((1, side, side), 2, 4, 1).body[0].stride for side in (8, 32)] == [(1, 1), (2, 2)]


def test_the_updates_needed_are_those_to_the_lowest_loss_of_one_sample() -> None:
    curves = {"M=1": [3.0, 1.0, 2.0], "M=2": [2.0, 1.5, 1.2], "M=4": [0.5, 0.4, 0.3], "M=8": [3.0, 2.0, 0.9]}
    figures = {side: {"update": [10, 20, 30], "train_loss": losses} for side, losses in curves.items()}
    found = multi_sample_dropout.relate(figures, None)
    needed = {side: own["updates_needed"] for side, own in found.items()}
    assert needed == {"M=1": 20, "M=2": 30, "M=4": 10, "M=8": pytest.approx(20 + 10 / 1.1)}


def test_multi_sample_dropout_at_toy_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_at_toy_size("multi-sample-dropout", TINY, tmp_path, monkeypatch, capsys)
    first = found["parts"][0]["figures"]
    assert 2 <= first["updates_needed"] <= 4
    assert 0 <= first["final_error"] <= 1


def test_lookahead_at_toy_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_at_toy_size("lookahead", [*TINY, "updates=12", "points=3"], tmp_path, monkeypatch, capsys)
    of = {(part["side"], part["seed"]): part["figures"] for part in found["parts"]}
    assert of["sgd", 1]["gain"] == 0.0  # without Lookahead there is one set of weights
    assert of["sgd", 1]["jump"] == of["sgd", 1]["fast_jump"]
    assert of["sgd+la", 1]["gain"] != 0.0
    assert of["sgd", 1]["final_error"] != pytest.approx(of["sgd", 2]["final_error"], abs=0)


def test_every_side_of_the_full_grid_trains_in_its_own_way(tmp_path: Path) -> None:
    """A cycle of one step all the way is no Lookahead; each other side differs from the plain one."""
    small = build(
        lookahead.LookaheadSettings, {"train_images": 32, "width": 2, "updates": 12, "points": 2, "grid": "full"}
    )
    assert set(lookahead.sides(small)) == set(lookahead.FULL) > set(lookahead.FEW)
    losses = {
        side: lookahead.train(side, 1, small)["final_test_loss"] for side in ("sgd", "sgd+la", "sgd-x10.0", "adam")
    }
    assert len(set(losses.values())) == len(losses)


def test_the_range_is_over_the_rates_of_one_side_alone() -> None:
    full = build(lookahead.LookaheadSettings, {"grid": "full"})
    figures: dict[str, Any] = {side: {"final_test_loss": 1.0} for side in lookahead.FULL}
    figures["sgd-x10.0"] = {"final_test_loss": 3.0}
    figures["sgd+la-x0.1"] = {"final_test_loss": 1.5}
    found = lookahead.relate(figures, full)
    assert (found["sgd"]["range"], found["sgd+la"]["range"]) == (2.0, 0.5)
    assert "range" not in found["adamw"]


def test_a_run_that_diverges_counts_as_chance() -> None:
    wild = build(lookahead.LookaheadSettings, {"train_images": 64, "width": 2, "updates": 30, "sgd_rate": 1e12})
    figures = lookahead.train("sgd", 1, wild)
    assert figures["final_error"] == pytest.approx(0.9)


SHORT = ["corpus_lines=60", "train_lines=30", "test_lines=40", "tokens=2048", "hidden=64", "epochs=1"]


def test_label_smoothing_at_toy_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run_at_toy_size("label-smoothing", [*TINY, *SHORT], tmp_path, monkeypatch, capsys)
    of = {(part["side"], part["seed"]): part["figures"] for part in found["parts"]}
    assert all(0 <= figures["ece"] <= 1 for figures in of.values())
    assert of["eps=0", 1]["final_loss"] != of["eps=0.1", 1]["final_loss"]
    assert of["crf-eps=0", 1]["ece"] != of["crf-eps=0.1", 1]["ece"]


def test_a_student_learns_its_teacher_s_probabilities(tmp_path: Path) -> None:
    """Without images of its own it errs as its teacher does, after enough updates on the teacher's answers."""
    small = build(
        label_smoothing.SmoothingSettings,
        {"train_images": 64, "width": 4, "updates": 60, "points": 2, "batch_size": 32, "learning_rate": 1e-2},
    )
    figures = label_smoothing.of_student(0.0, 1, small)
    assert figures["teacher_error"] < 0.7
    assert figures["final_error"] < 0.8


def test_the_spread_is_nothing_for_points_and_grows_with_the_noise() -> None:
    labels = torch.tensor([3, 5, 5, 3, 9])
    places = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))[labels]
    assert label_smoothing.spread(places, labels) < 1e-10
    noise = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    few, more = (label_smoothing.spread(places + scale * noise, labels) for scale in (0.1, 0.2))
    assert 0 < few < more
    assert label_smoothing.spread(7 * places, labels) < 1e-10
    assert label_smoothing.spread(7 * (places + 0.1 * noise), labels) == pytest.approx(few, rel=1e-4)


def test_certain_right_answers_are_calibrated_and_certain_wrong_ones_are_not() -> None:
    certain = np.eye(3)[[0, 1, 2, 0]]
    assert label_smoothing.calibrated(certain, np.array([0, 1, 2, 0]))["ece"] == 0.0
    assert label_smoothing.calibrated(certain, np.array([1, 2, 0, 1]))["ece"] == 1.0


def test_a_student_s_loss_is_hinton_s() -> None:
    images, targets = torch.randn(6, 3, 8, 8), torch.rand(6, 5).softmax(1)
    logs = log_softmax(classifier()(images) / 3, 1)
    assert torch.allclose(classifier(temperature=3.0).loss(images, targets), -9 * (targets * logs).sum(1).mean())


def test_the_text_sides_of_the_full_grids_learn_and_differ(tmp_path: Path) -> None:
    """One tagger for each number of samples starts from the same encoder; Lookahead changes the pretraining."""
    words = [*SHORT, f"work={tmp_path}", "grid=full", "threads=1", "device=cpu"]
    dropped = running.load("multi-sample-dropout", words)
    one, two = (multi_sample_dropout.train(f"tagger-M={samples}", 1, dropped) for samples in (1, 2))
    assert len(one["train_loss"]) == len(two["train_loss"]) == one["update"][-1]
    assert one["train_loss"] != two["train_loss"]
    related = multi_sample_dropout.relate({"tagger-M=1": one, "tagger-M=2": two}, dropped)
    assert 1 <= related["tagger-M=2"]["updates_needed"] <= one["update"][-1]
    ahead = running.load("lookahead", [*words, "tokens=8192"])
    losses = [lookahead.train(side, 1, ahead)["pretrain_loss"] for side in ("pretrain", "pretrain+la")]
    assert losses[0] != losses[1]
    panels = {panel.title for panel in multi_sample_dropout.plot([Part("tagger-M=1", 1, one, 0.0)], dropped)}
    assert "Taggers" in panels
