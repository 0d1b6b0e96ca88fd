"""The images that claims are shown on: scikit-learn's digits, an `.npz` of images, or CIFAR-10's binary files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from daguan.core.errors import DataError
from daguan.core.files import sha256_of_file
from daguan.core.quantity import quantity
from daguan.core.seeds import stream
from daguan.core.settings import setting
from daguan.experiments.claims.claim import ClaimSettings

Pixels = NDArray[np.uint8]
PARTS = ("train_images", "train_labels", "test_images", "test_labels")
BATCHES, TEST_BATCH = "data_batch_*.bin", "test_batch.bin"
SIDE, CHANNELS = 32, 3  # of CIFAR-10's images
DIGITS_SEED, DIGITS_TEST = 1998, 500
DIGIT_LEVELS = 16


class ImageClaimSettings(ClaimSettings):
    """The settings of claims about images."""

    data: str = setting(
        "",
        "Images: an .npz with train_images (N,H,W,C) uint8, train_labels, test_images and test_labels, or the folder "
        "of CIFAR-10's binary version; empty for scikit-learn's digits.",
        is_path=True,
    )
    train_images: int = setting(0, "Number of training images, the first ones; 0 for all.", ge=0)
    width: int = setting(16, "Channels of the network's first stage.", ge=1)
    blocks: int = setting(1, "Residual blocks of each of its three stages.", ge=1)
    updates: int = setting(1200, "Updates of each side.", ge=1)
    batch_size: int = setting(64, "Images in an update.", ge=1)
    points: int = setting(24, "How often a side is evaluated.", ge=1)


@dataclass(frozen=True)
class Images:
    """Training and test images (N,C,H,W), each channel with mean 0 and variance 1 over the training images, and their
    classes (N,), from 0."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor

    @property
    def classes(self) -> int:
        return int(self.train_labels.max()) + 1


def read_images(chosen: ImageClaimSettings) -> Images:
    """Returns the images that the settings name. Raises DataError: not of that form."""
    path = Path(chosen.data)
    if not chosen.data:
        parts = _digits()
    elif path.is_dir():
        parts = _cifar_folder(path)
    else:
        parts = _npz(path)
    few = chosen.train_images or None
    return _normalised(parts["train_images"][:few], parts["train_labels"][:few], *(parts[name] for name in PARTS[2:]))


def image_inputs(chosen: ImageClaimSettings) -> dict[str, Any]:
    """Returns the hashes of the files that are read. Raises DataError: there is no such file."""
    path = Path(chosen.data)
    if not chosen.data:
        return {"images": "digits"}
    return {"images": {one.name: sha256_of_file(one) for one in ([path] if path.is_file() else _cifar_files(path))}}


def _digits() -> dict[str, NDArray[Any]]:
    """Returns the 1,797 digits of 8 × 8, in a fixed random order; the last 500 are for testing."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = stream(DIGITS_SEED, "digits").permutation(len(digits.target))
    images, labels = digits.images[order, :, :, None], digits.target[order]
    pixels = (images * (255 / DIGIT_LEVELS)).astype(np.uint8)
    return dict(
        zip(
            PARTS,
            (pixels[:-DIGITS_TEST], labels[:-DIGITS_TEST], pixels[-DIGITS_TEST:], labels[-DIGITS_TEST:]),
            strict=True,
        )
    )


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in PARTS}
    except FileNotFoundError:
        raise DataError(f"{path}: expected an .npz of images or a folder, got nothing at that path") from None
    except KeyError as error:
        raise DataError(f"{path}: expected the arrays {', '.join(PARTS)}, got none of the name {error}") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected an .npz of images, got: {' '.join(str(error).split())}") from None
    _require_shapes(path, parts)
    return parts


def _require_shapes(path: Path, parts: Mapping[str, NDArray[Any]]) -> None:
    for part in ("train", "test"):
        images, labels = parts[f"{part}_images"], parts[f"{part}_labels"]
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"{path}: expected {part}_images (N,H,W,C) uint8, got {images.shape} {images.dtype}")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            expected = f"{part}_labels ({len(images)},) of whole numbers"
            raise DataError(f"{path}: expected {expected}, got {labels.shape} {labels.dtype}")


def _cifar_files(folder: Path) -> list[Path]:
    """Returns the files of CIFAR-10's binary version, the one for testing last. Raises DataError: they are missing."""
    found = sorted(folder.glob(BATCHES))
    if not found or not (folder / TEST_BATCH).is_file():
        python = any(folder.glob("data_batch_?"))
        why = ", got its python version, whose pickles are not read" if python else ", got none"
        raise DataError(f"{folder}: expected CIFAR-10's binary version, {BATCHES} and {TEST_BATCH}{why}")
    return [*found, folder / TEST_BATCH]


def _cifar_folder(folder: Path) -> dict[str, NDArray[Any]]:
    """Returns the images of the binary version: records of a label and 3 × 32 × 32 bytes, channel after channel."""
    *train, test = (_cifar_records(path) for path in _cifar_files(folder))
    training = np.concatenate(train)
    return {
        name: part[:, 0] if name.endswith("labels") else _cifar_pixels(part)
        for name, part in zip(PARTS, (training, training, test, test), strict=True)
    }


def _cifar_records(path: Path) -> Pixels:
    size, record = path.stat().st_size, 1 + CHANNELS * SIDE * SIDE
    if size == 0 or size % record:
        raise DataError(f"{path}: expected records of {quantity(record, 'byte')}, got {quantity(size, 'byte')}")
    return np.fromfile(path, np.uint8).reshape(-1, record)


def _cifar_pixels(records: Pixels) -> Pixels:
    return records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)


def _normalised(train: Pixels, train_labels: NDArray[Any], test: Pixels, test_labels: NDArray[Any]) -> Images:
    pixels = train.astype(np.float64)
    mean, scale = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2)) + 1e-8

    def tensor(images: Pixels) -> Tensor:
        scaled = ((images - mean) / scale).astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))

    labels = (torch.from_numpy(one.astype(np.int64)) for one in (train_labels, test_labels))
    of_train, of_test = labels
    return Images(tensor(train), of_train, tensor(test), of_test)
