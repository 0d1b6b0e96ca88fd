"""Where and in what precision to compute."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from daguan.core.errors import ConfigError
from daguan.core.settings import require

PRECISIONS = ("bf16", "float32")


@dataclass(frozen=True)
class EngineSettings:
    """device: auto, cpu, cuda, cuda:1 …; precision: bf16 (autocast) or float32. workers: fold processes at a time;
    threads: threads of each; 0 divides the cores. A GPU takes one worker unless told otherwise."""

    device: str = "auto"
    precision: str = "bf16"
    workers: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        require("engine.precision", self.precision in PRECISIONS, "bf16 or float32", self.precision)
        require("engine.workers", min(self.workers, self.threads) >= 0, "at least 0", (self.workers, self.threads))

    def plan(self, jobs: int) -> tuple[int, int]:
        """(worker processes, threads of each) for so many jobs."""
        cores = len(os.sched_getaffinity(0))
        default = 1 if self.find_device().type != "cpu" else min(cores, jobs)
        workers = self.workers or default
        return workers, self.threads or max(1, cores // workers)

    def find_device(self) -> torch.device:
        """Raises ConfigError: no such device here."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise ConfigError(f"engine.device: expected auto, cpu or cuda, got {self.device!r}") from None
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError(f"engine.device: expected a CUDA device for {self.device!r}, got none on this machine")
        return device

    def autocast(self) -> AbstractContextManager[None]:
        enabled = self.precision == "bf16"
        context: AbstractContextManager[None] = torch.autocast(self.find_device().type, torch.bfloat16, enabled=enabled)
        return context


def prepare_process(threads: int) -> None:
    """Settle threads and determinism for this process."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=False)
