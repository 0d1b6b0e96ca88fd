"""The colour-blind can distinguish the colours of types, of right and wrong, and of plots, in light and in dark."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import daguan.report
from daguan.report.plots import COLOURS

FEWEST = 15  # CIELAB distance; 2.3 is just noticeable
SEEN = {  # Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
STYLE = (Path(daguan.report.__path__[0]) / "page.css").read_text("utf-8")
THEMES = STYLE.split(":root")[1:4]  # light, dark by the system, dark by the reader


def lab(colour: str, sight: str) -> np.ndarray:
    """The colour as that sight has it, in CIELAB under D65."""
    srgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.array(SEEN[sight]) @ linear, 0, 1) / XYZ.sum(1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def palettes() -> dict[str, list[str]]:
    found = {"plots": [*COLOURS]}
    for number, theme in enumerate(THEMES):
        found[f"types {number}"] = re.findall(r"--t\d: (#\w{6})", theme)
        found[f"right and wrong {number}"] = re.findall(r"--(?:good|bad): (#\w{6})", theme)
    return found


@pytest.mark.parametrize("sight", SEEN)
@pytest.mark.parametrize("palette", palettes())
def test_any_two_are_far_apart(palette: str, sight: str) -> None:
    colours = palettes()[palette]
    assert len(colours) == (2 if palette.startswith("right") else 8)
    apart = {
        pair: float(np.linalg.norm(lab(pair[0], sight) - lab(pair[1], sight))) for pair in combinations(colours, 2)
    }
    assert {pair: distance for pair, distance in apart.items() if distance < FEWEST} == {}


def test_the_reader_s_dark_colours_are_the_system_s() -> None:
    assert palettes()["types 1"] == palettes()["types 2"]
