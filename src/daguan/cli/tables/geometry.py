"""Results of a pointer network beside those of Vinyals et al. 2015 (arXiv 1506.03134v2, §4)."""

from __future__ import annotations

from daguan.cli.tables.text import print_table
from daguan.experiments.geometry.convex_hull import FAIL_SHARE

FAIL = "FAIL"
COLUMNS = {
    "convex-hull": {"accuracy": "accuracy %", "area": "area %"},
    "delaunay": {"accuracy": "accuracy %", "coverage": "triangles %"},
    "tsp": {"length": "mean tour length", "accuracy": "shortest %"},
}
PAPER = {
    ("convex-hull", 5): {"Ptr-Net, trained on 5 to 50": ("92.0", "99.6"), "LSTM": ("87.7", "99.6")},
    ("convex-hull", 10): {"Ptr-Net, trained on 5 to 50": ("87.0", "99.8"), "LSTM": ("29.9", FAIL)},
    ("convex-hull", 50): {
        "Ptr-Net": ("72.6", "99.9"),
        "Ptr-Net, trained on 5 to 50": ("69.6", "99.9"),
        "LSTM with attention": ("38.9", "99.7"),
        "LSTM": ("1.9", FAIL),
    },
    ("convex-hull", 100): {"Ptr-Net, trained on 5 to 50": ("50.3", "99.9")},
    ("convex-hull", 200): {"Ptr-Net, trained on 5 to 50": ("22.1", "99.9")},
    ("convex-hull", 500): {"Ptr-Net, trained on 5 to 50": ("1.3", "99.2")},
    ("delaunay", 5): {"Ptr-Net": ("80.7", "93.0")},
    ("delaunay", 10): {"Ptr-Net": ("22.6", "81.3")},
    ("delaunay", 50): {"Ptr-Net": ("0", "52.8")},
    ("tsp", 5): {"Ptr-Net": ("2.12", ""), "optimum": ("2.12", ""), "algorithm A1": ("2.18", "")},
    ("tsp", 10): {"Ptr-Net": ("2.88", ""), "optimum": ("2.87", ""), "algorithm A1": ("3.07", "")},
}


def print_measured(task: str, size: int, measured: dict[str, float]) -> None:
    """Print one row for this run, one for the optimum where it is known, and the rows of the paper."""
    header = (f"{task}, n = {size}", "of", *COLUMNS[task].values())
    rows = [("pointer network", "this run", *(cell(measured, name) for name in COLUMNS[task]))]
    if "optimum" in measured:
        rows.append(("optimum", "this run", f"{measured['optimum']:.3f}", "100.00"))
    rows += [(name, "the paper", *cells) for name, cells in PAPER.get((task, size), {}).items()]
    print_table(header, rows)


def cell(measured: dict[str, float], name: str) -> str:
    """Return one figure as text: a length as it is, a share in percent. As in the paper, the area is FAIL if too many
    outputs are not simple polygons."""
    if name == "area" and measured["simple"] < 1 - FAIL_SHARE:
        return FAIL
    return f"{measured[name]:.3f}" if name == "length" else f"{100 * measured[name]:.2f}"
