"""A claim of a paper: its sides, how one side is trained, what is compared, and what the paper says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daguan.core.settings import Section, setting
from daguan.core.tables import Row
from daguan.training.engine_settings import EngineSettings

GRIDS = ("few", "full")
NOT_AVAILABLE = "not available"  # the paper's own figure, where no copy of the paper was read
Figures = dict[str, Any]  # numbers by name, and lists of numbers for plots


class ClaimSettings(Section):
    """The settings that all claims have. A claim adds sizes of its own, which its sides depend on."""

    seeds: int = setting(4, "Number of seeds; each trains every side.", ge=1)
    grid: str = setting("few", "`few`: the sides that carry the claim; `full`: all sides, a longer run.", choices=GRIDS)
    minutes: float = setting(
        30.0,
        "No further seed is begun if it would end after these minutes; as many as there are cores always are.",
        gt=0,
    )
    threads: int = setting(0, "Cores used, each by a process of its own with a seed; 0 for all.", ge=0)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 and so on.")
    work: str = setting("data/work", "Where runs are stored.", is_path=True)

    @property
    def engine(self) -> EngineSettings:
        """Returns the engine, always in float32."""
        return EngineSettings(device=self.device, precision="float32", threads=self.threads)

    @property
    def full(self) -> bool:
        return self.grid == "full"


COMMON = tuple(ClaimSettings.model_fields)  # no figure depends on them


@dataclass(frozen=True)
class Comparison:
    """A difference that the paper claims: `figure` of `side` minus `figure` of `other`, of the same seed.

    Attributes:
        sign: 1 where the paper says that the difference is over zero, −1 where it is under zero.
        paper: the paper's own figures, with their place.
    """

    figure: str
    side: str
    other: str
    sign: int
    paper: str = NOT_AVAILABLE


@dataclass(frozen=True)
class Fact:
    """A figure without chance, such as a number of parameters, beside the paper's.

    Attributes:
        agrees: whether they are equal at the precision that the paper prints.
        note: the difference, where there is one.
    """

    name: str
    ours: float
    paper: str
    agrees: bool
    note: str = ""


@dataclass(frozen=True)
class Part:
    """One side trained with one seed; `seconds` is wall time."""

    side: str
    seed: int
    figures: Figures
    seconds: float


@dataclass(frozen=True)
class Column:
    """A column of the table of sides: the mean of a figure over the seeds ± its standard deviation.

    Attributes:
        title: with the unit.
        digits: after the point.
        factor: by which the figure is multiplied, 100 for a share in percent.
    """

    title: str
    digits: int = 2
    factor: float = 1.0


@dataclass(frozen=True)
class Panel:
    """One panel of the claim's plot.

    Attributes:
        title: of the panel.
        across, up: titles of the axes.
        series: points by the name of the series.
        mark: `line`, `point`, or `strip`: a row for each series, without an axis up.
        log: whether the axis across is logarithmic.
    """

    title: str
    across: str
    up: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    mark: str = "line"
    log: bool = False


def _alone(figures: dict[str, Figures], chosen: Any) -> dict[str, Figures]:
    return figures


def _nothing(chosen: Any) -> Sequence[Any]:
    return ()


def _no_inputs(chosen: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Claim:
    """What one file of this folder declares. Each function gets the claim's settings last.

    Attributes:
        paper: the reference, with the tables or figures of the claim.
        settings: the class of the settings.
        sides: the sides of the chosen grid, in the order in which they are trained; names fit into a file's name.
        train: trains a side with a seed and returns its figures. All that sides share must come from streams of the
            seed, so that their differences are paired. Its module, and what that imports, is part of a part's key.
        comparisons: what the paper claims of the sides; the first one whose sides have its figure decides the verdict.
        columns: the columns of the table of sides, by figure.
        plot: the panels of the plot.
        relate: adds figures of the sides of one seed that depend on other sides.
        facts: figures without chance.
        inputs: what else the parts depend on, such as hashes of the data.
        code: the rows of tables that `train` loads by name, as imports do not show them.
    """

    paper: str
    settings: type[ClaimSettings]
    sides: Callable[[Any], Sequence[str]]
    train: Callable[[str, int, Any], Figures]
    comparisons: Sequence[Comparison]
    columns: Mapping[str, Column]
    plot: Callable[[Sequence[Part], Any], Sequence[Panel]]
    relate: Callable[[dict[str, Figures], Any], dict[str, Figures]] = _alone
    facts: Callable[[Any], Sequence[Fact]] = _nothing
    inputs: Callable[[Any], dict[str, Any]] = _no_inputs
    code: Callable[[Any], Sequence[Row]] = _nothing


def mean_curves(parts: Sequence[Part], across: str, up: str) -> dict[str, list[tuple[float, float]]]:
    """Returns a series for each side, for a panel: the mean over the seeds of two lists of figures, point by point.

    Lists of unequal lengths are cut to the shortest.
    """
    by_side: dict[str, list[Figures]] = {}
    for part in parts:
        if up in part.figures:
            by_side.setdefault(part.side, []).append(part.figures)
    series = {}
    for side, figures in by_side.items():
        pairs = [list(zip(one[across], one[up], strict=True)) for one in figures]
        points = zip(*pairs, strict=False)
        series[side] = [(_mean([x for x, _ in point]), _mean([y for _, y in point])) for point in points]
    return series


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
