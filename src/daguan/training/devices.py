"""The device, the precision and the number of threads to compute with."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import torch

from daguan.core.errors import ConfigError, DivergenceError
from daguan.training.engine_settings import EngineSettings

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def share_cores(engine: EngineSettings, jobs: int) -> tuple[int, int]:
    """Returns how many of that number of jobs run at a time, and the threads of each of their processes. Raises
    ConfigError: no such device here."""
    default = cores() if find_device(engine).type == "cpu" else len(gpus(engine)) or 1
    workers = jobs_at_a_time(engine, default, jobs)
    return workers, engine.threads or max(1, cores() // (workers * engine.devices))


def jobs_at_a_time(engine: EngineSettings, devices: int, jobs: int) -> int:
    """Returns how many of that number of jobs run at a time on that number of cores or GPUs."""
    return min(engine.workers or max(1, devices // engine.devices), jobs)


def find_device(engine: EngineSettings) -> torch.device:
    """Returns the device to compute on. Raises ConfigError: no such device here."""
    if engine.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(engine.device)
    except RuntimeError:
        raise ConfigError(f"engine.device: expected auto, cpu or cuda, got {engine.device!r}") from None
    here = device.type == "cpu" or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count())
    if not here:
        raise ConfigError(f"engine.device: expected a device of this machine, got {engine.device!r}")
    return device


def gpus(engine: EngineSettings) -> list[str]:
    """Returns the GPUs that jobs may share, as CUDA_VISIBLE_DEVICES names them; none on a CPU, or where the setting
    names one. Raises ConfigError: no such device here."""
    if find_device(engine) != torch.device("cuda"):
        return []
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def matrix_dtype(engine: EngineSettings) -> torch.dtype:
    """Returns the type that matrices are multiplied in."""
    if engine.precision == "auto":
        return _faster_dtype(find_device(engine).type)
    return torch.bfloat16 if engine.precision == "bf16" else torch.float32


def length_multiple(engine: EngineSettings) -> int:
    """Returns the number to whose multiples lengths are padded.

    Padding costs as much as tokens do, but a CPU prepares bf16 products for each new shape, and a GPU needs multiples
    of 8.
    """
    return 16 if matrix_dtype(engine) == torch.bfloat16 or find_device(engine).type != "cpu" else 4


def autocast(engine: EngineSettings) -> AbstractContextManager[None]:
    """Returns a context in which matrices are multiplied in the engine's precision."""
    enabled = matrix_dtype(engine) == torch.bfloat16
    # threads share the cache of cast weights, and one that ends empties it: what a weight that is used twice gets
    # for a gradient would depend on when
    context: AbstractContextManager[None] = torch.autocast(
        find_device(engine).type, torch.bfloat16, enabled=enabled, cache_enabled=False
    )
    return context


@cache
def _faster_dtype(device_type: str) -> torch.dtype:
    """Returns bf16 where the hardware multiplies it faster, by a fixed rule, so that a run resumes in its precision.

    Intel's cores without AMX multiply bf16 at half the rate of float32, AMD's at twice the rate.
    """
    if device_type != "cpu":
        faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        faster = "amx_bf16" in _cpu_flags() or ("avx512_bf16" in _cpu_flags() and "GenuineIntel" not in _cpu_flags())
    return torch.bfloat16 if faster else torch.float32


@cache
def _cpu_flags() -> frozenset[str]:
    """Returns the words of /proc/cpuinfo, which name vendor and instruction sets; none if there is no such file."""
    return frozenset(_words(Path("/proc/cpuinfo")))


def cores(cgroup: Path = CGROUP) -> int:
    """Returns the number of cores that this process may use, limited by a container's share of their time.

    It is the number of all cores if the system does not limit the process.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(allowed, cpu_quota(cgroup)))


def cpu_quota(cgroup: Path = CGROUP) -> float:
    """Returns the number of cores whose time the control group may use, inf for no limit.

    Version 2 has one file with `QUOTA PERIOD`, or `max` for no limit (docs.kernel.org/admin-guide/cgroup-v2.html);
    version 1 has a file for each, with -1 for no limit (docs.kernel.org/scheduler/sched-bwc.html).
    """
    words = _words(cgroup / "cpu.max")
    words = words or [*_words(cgroup / "cpu/cpu.cfs_quota_us"), *_words(cgroup / "cpu/cpu.cfs_period_us")]
    limited = len(words) == 2 and words[0] not in ("max", "-1")
    return int(words[0]) / int(words[1]) if limited else math.inf


def memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> float:
    """Returns the bytes available without swapping: MemAvailable (proc_meminfo(5)) or the control group's limit.

    It is the smaller one, and inf if the system names neither.
    """
    words = _words(meminfo)
    available = [1024 * float(words[words.index("MemAvailable:") + 1])] if "MemAvailable:" in words else []
    limits = [*_words(cgroup / "memory.max"), *_words(cgroup / "memory/memory.limit_in_bytes")]
    return min([*available, *(float(limit) for limit in limits if limit != "max")], default=math.inf)


def _words(path: Path) -> list[str]:
    """Returns the words of a kernel's file, none if there is no such file."""
    return path.read_text("utf-8").split() if path.is_file() else []


def cpu_model() -> str:
    """Returns the processor's name, empty if the system does not give it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def prepare_process(threads: int, engine: EngineSettings | None = None) -> None:
    """Set the number of threads, deterministic algorithms and a GPU's products for this process.

    A GPU multiplies float32 matrices with TF32's 10 bits of mantissa where the engine multiplies most of them in bf16,
    with 7; with engine.precision=float32 in full, as it does without engine settings.
    """
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # `use_deterministic_algorithms` also loads the compiler, for 2 s
    # by default every new tensor is filled before it is written, which takes a seventh of a fine-tuning update
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if engine is not None and find_device(engine).type == "cuda":
        torch.set_float32_matmul_precision("high" if uses_tf32(engine) else "highest")
        torch.backends.cudnn.allow_tf32 = uses_tf32(engine)


def uses_tf32(engine: EngineSettings) -> bool:
    """Returns whether products that are not in bf16 are in TF32."""
    return find_device(engine).type == "cuda" and matrix_dtype(engine) == torch.bfloat16


def device_facts(engine: EngineSettings) -> dict[str, str]:
    """Returns what a manifest says of the device: its name, and the precision of its products."""
    device = find_device(engine)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    precision = str(matrix_dtype(engine)).removeprefix("torch.")
    return {"device": name, "precision": f"{precision}, the rest tf32" if uses_tf32(engine) else precision}


def require_finite(loss: float, update: int) -> None:
    """Raises DivergenceError if the loss is infinite or not a number."""
    if not math.isfinite(loss):
        raise DivergenceError(f"update {update}: expected a finite loss, got {loss}; a lower rate may help")
