"""The curves of a job for TensorBoard, beside its events: `tensorboard --logdir data/work` draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from daguan.core.errors import ConfigError
from daguan.core.files import naming
from daguan.core.progress import Progress
from daguan.families.job import Job
from daguan.training.engine_settings import EngineSettings

FLUSH_SECONDS = 10  # until what was added is in the file


def require_tensorboard(settings: EngineSettings) -> None:
    """Raises ConfigError: the curves are asked for, and TensorBoard is not installed."""
    if settings.tensorboard:
        try:
            metadata.version("tensorboard")
        except metadata.PackageNotFoundError:
            raise ConfigError(
                "engine.tensorboard: expected the package tensorboard, got none; run: pip install 'daguan[tensorboard]'"
            ) from None


@contextmanager
def drawn(job: Job, watch: Callable[[Progress], bool]) -> Iterator[Callable[[Progress], bool]]:
    """Yields the watch of a job, which also draws all that it sees if the settings ask for it."""
    if not job.engine.tensorboard:
        yield watch
        return
    curves = Curves(Path(job.folder))

    def seen(progress: Progress) -> bool:
        curves.show(progress)
        return watch(progress)

    try:
        yield seen
    finally:
        curves.close()


class Curves:
    """Writes loss, learning rate, held-out F1 and speed, each at the units done so far. A resumed job adds a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = Progress(0, 0, "")

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder, flush_secs=FLUSH_SECONDS)

    def show(self, progress: Progress) -> None:
        """Add a point to each curve. Raises WriteError: the disk is full."""
        last = self._last
        scalars = {"loss": progress.loss, "learning rate": progress.rate}
        if last.seconds is not None and progress.seconds is not None and progress.seconds > last.seconds:
            scalars[f"{progress.unit} a second"] = (progress.done - last.done) / (progress.seconds - last.seconds)
        if len(progress.f1s) > len(last.f1s):
            scalars["held-out F1"] = progress.f1s[-1]
        with naming(self._folder):
            for name, value in scalars.items():
                if value is not None:
                    self._writer.add_scalar(name, value, progress.done)
        self._last = progress

    def close(self) -> None:
        """Write the rest. Raises WriteError: the disk is full."""
        if self._last.unit:
            with naming(self._folder):
                self._writer.close()
