"""The command `estimate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv
from daguan.cli.tables.text import print_table
from daguan.core.quantity import quantity

if TYPE_CHECKING:
    from daguan.pipeline.estimate import Estimate, StageEstimate

SHARE = 0.4  # of a device's matrix rate that training reaches, where nothing is stated


def main(
    words: Words,
    size: Annotated[
        str,
        typer.Option(
            "--size",
            metavar="LINES,TEST,CORPUS",
            help="Labelled lines, test lines and corpus tokens, in place of those of the configuration's contest.",
            show_default=False,
        ),
    ] = "",
    tokens_per_second: Annotated[
        float, typer.Option("--tokens-per-second", help="Pretraining elsewhere, by one process or GPU.", min=0)
    ] = 0.0,
    tflops: Annotated[
        float, typer.Option("--tflops", help="Or the matrix rate of a GPU or processor elsewhere.", min=0)
    ] = 0.0,
    share: Annotated[
        float, typer.Option("--share", help="Share of that rate that training reaches.", min=0.01, max=1)
    ] = SHARE,
    gpus: Annotated[int, typer.Option("--gpus", help="GPUs of the machine elsewhere; 0 for none.", min=0)] = 0,
    accept_code: AcceptCode = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Estimate time, memory and disk of each stage.

    Without figures of a machine elsewhere, it first measures this one for about a minute. Finished stages take nothing.
    """
    from daguan.core.settings import require
    from daguan.pipeline.estimate import measured_here, stated_machine
    from daguan.pipeline.settings import load

    both = "nothing beside --tflops, from which it follows"
    require("--tokens-per-second", not (tokens_per_second and tflops), both, f"{tokens_per_second:g}")
    stated = tokens_per_second or tflops
    require("--gpus", not gpus or stated > 0, "--tflops or --tokens-per-second beside it, as they are elsewhere", gpus)
    settings, sizes = load(configuration(words, accept_code)), numbers(size)
    if stated:
        found = stated_machine(settings, sizes, tokens_per_second, 1e12 * tflops * share, gpus)
    else:
        found = measured_here(settings, sizes)
    write_csv(csv, "estimate", found)
    if as_json:
        print_json(found.to_json())
    else:
        print_estimate(found)


def numbers(size: str) -> tuple[int, int, int] | None:
    """Return the numbers of `--size`, None without one. Raises ConfigError: not three numbers of a contest."""
    from daguan.core.errors import ConfigError

    if not size:
        return None
    try:
        lines, test, corpus = (int(float(number)) for number in size.split(","))
        good = lines >= 2 and test >= 1 and corpus >= 0
    except (ValueError, OverflowError):
        good = False
    if not good:
        raise ConfigError(
            "--size: expected LINES,TEST,CORPUS, such as 17000,3000,93e6: at least 2 labelled lines, 1 test line and 0 "
            f"corpus tokens, got {size!r}"
        )
    return lines, test, corpus


def print_estimate(found: Estimate) -> None:
    sizes, machine = found.sizes, found.machine
    print(
        f"{quantity(sizes.lines, 'labelled line')}, {quantity(sizes.test_tokens, 'token')} of test lines, "
        f"{quantity(sizes.text_tokens, 'token')} in all; {quantity(sizes.folds, 'fold')} of {', '.join(found.members)}"
    )
    where = quantity(machine.gpus, "GPU") if machine.gpus else quantity(machine.cores, "core")
    speeds = found.speeds.encoders or {"an encoder": found.speeds.speed}
    known = "measured here" if machine.measured else "stated"
    print(
        f"{where}; pretraining, {known}: {', '.join(f'{name} {speed:,.0f} tokens/s' for name, speed in speeds.items())}"
    )
    header = ("stage", "time", "memory", *(["GPU memory"] if machine.gpus else []), "disk")
    print_table(header, [_row(stage, machine.gpus > 0) for stage in found.stages] + [_total(found)])


def _row(stage: StageEstimate, gpu: bool) -> tuple[str, ...]:
    more = [gigabytes(stage.gpu_memory)] if gpu else []
    return stage.stage, duration(stage.seconds), gigabytes(stage.memory), *more, gigabytes(stage.disk)


def _total(found: Estimate) -> tuple[str, ...]:
    more = [gigabytes(max(stage.gpu_memory for stage in found.stages))] if found.machine.gpus else []
    memory = gigabytes(max(stage.memory for stage in found.stages))
    return "all", duration(found.seconds), memory, *more, gigabytes(sum(stage.disk for stage in found.stages))


def duration(seconds: float) -> str:
    """Return seconds, minutes, hours or days, whichever a reader would use."""
    for unit, least in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= least:
            return f"{seconds / least:.1f} {unit}"
    return f"{seconds:.0f} s"


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size < 1e10 else f"{size / 1e9:,.0f} GB"
