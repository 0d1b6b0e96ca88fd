"""The settings of a pointer network that learns a geometry problem."""

from __future__ import annotations

from daguan.core.settings import Section, require, setting
from daguan.experiments.geometry.tasks import FEWEST_POINTS
from daguan.training.engine_settings import EngineSettings


class PointingSettings(Section):
    """A pointer network trained on instances that are made on the fly (Vinyals et al. 2015, arXiv 1506.03134)."""

    n: int = setting(5, "Points of an instance.", ge=FEWEST_POINTS)
    tested: int = setting(0, "Points of an instance of the evaluation; 0 takes n.", ge=0)
    fewest: int = setting(
        0, "In training each update draws the number of points between this one and n; 0 takes n alone.", ge=0
    )
    minutes: float = setting(10.0, "Minutes of wall clock to train.", gt=0)
    updates: int = setting(
        0, "Number of updates, in place of minutes: then the same command gives the same bits.", ge=0
    )
    seed: int = setting(1, "Seed of every named random stream.")
    hidden: int = setting(128, "Units of both LSTMs and of the attention.", ge=1)
    batch_size: int = setting(256, "Instances in an update.", ge=1)
    learning_rate: float = setting(6e-3, "Peak learning rate; it falls linearly to 0.", gt=0)
    warmup: float = setting(0.02, "Share of the training in which the learning rate rises to its peak.", ge=0, lt=1)
    clip: float = setting(2.0, "Largest norm of the gradient.", gt=0)
    threads: int = setting(0, "Cores used, each for a part of a batch; 0 for all.", ge=0)
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 and so on.")
    beam: int = setting(4, "Width of the beam search in evaluation.", ge=1)
    held_out: int = setting(10_000, "Instances in the evaluation.", ge=1)
    checkpoint_seconds: float = setting(30.0, "Seconds between two checkpoints.", ge=0)
    work: str = setting("data/work", "Where runs are stored.", is_path=True)

    def check(self) -> None:
        fits = self.fewest == 0 or FEWEST_POINTS <= self.fewest <= self.n
        require(
            "tested", self.tested == 0 or self.tested >= FEWEST_POINTS, f"0 or {FEWEST_POINTS} or more", self.tested
        )
        require("fewest", fits, f"0 or {FEWEST_POINTS} to n", self.fewest)

    @property
    def tested_points(self) -> int:
        """Returns the points of an instance of the evaluation."""
        return self.tested or self.n

    @property
    def engine(self) -> EngineSettings:
        """Returns the engine, always in float32."""
        return EngineSettings(device=self.device, precision="float32", threads=self.threads)
