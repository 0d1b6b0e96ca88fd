"""The command `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from daguan.cli.options import AcceptCode, Json, Words, configuration, print_json
from daguan.core.quantity import quantity

if TYPE_CHECKING:
    from daguan.core.packages import Package
    from daguan.pipeline.doctor import Diagnosis

FAULTY = 2
IMPORTED_FIRST = ("torch", "numpy", "transformers", "scikit-learn", "scipy", "safetensors", "filelock")


def main(words: Words, accept_code: AcceptCode = False, as_json: Json = False) -> None:
    """Check this machine and the contest, and name a preset.

    It takes seconds and changes nothing. Each fault is one line with a remedy; exit code 2 if there is one.
    """
    from daguan.core.packages import needed_packages

    packages = needed_packages()
    faults = [package.fault for package in packages if not package.fits]
    found = None
    if all(package.version for package in packages if package.name in IMPORTED_FIRST):
        from daguan.pipeline.doctor import diagnose
        from daguan.pipeline.settings import load

        found = diagnose(load(configuration(words, accept_code)))
        faults += found.faults
    if as_json:
        about = {"packages": [asdict(package) for package in packages]}
        print_json(about | (found.to_json() if found else {}) | {"faults": faults})
    else:
        print_packages(packages)
        if found:
            print_diagnosis(found)
    for fault in faults:
        print(f"daguan: {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(FAULTY)


def print_packages(packages: Sequence[Package]) -> None:
    print("packages ", ", ".join(f"{package.name} {package.version or '(none)'}" for package in packages))
    outside = [package.name for package in packages if not package.fits]
    print("         ", f"outside the supported ranges: {', '.join(outside)}" if outside else "all supported")


def print_diagnosis(found: Diagnosis) -> None:
    offer, contest = found.offer, found.contest
    precision = "bf16" if offer.fast_bf16 else "float32, as bf16 is slow here"
    print(f"processor {quantity(offer.cores, 'core')} of {offer.cpu or 'an unnamed processor'}; {precision}")
    print(f"memory    {offer.memory / 1e9:.1f} GB available")
    print(f"GPUs      {', '.join(f'{name}, {size / 1e9:.0f} GB' for name, size in offer.gpus) or 'none'}")
    print(f"products  {', '.join(f'{name} {rate / 1e9:,.0f} GFLOP/s' for name, rate in offer.rates.items())}")
    print(f"disk      {offer.disk / 1e9:.1f} GB free where the work folder goes")
    if offer.locks:
        print(f"locks     {offer.locks}")
    if not contest.built:
        print(f"contest   {contest.folder}: `prepare` will build it")
    elif contest.lines:
        print(
            f"contest   {contest.folder}: {quantity(contest.lines, 'labelled line')}, "
            f"{quantity(contest.tokens, 'token')}, {quantity(contest.types, 'type')}; "
            f"{quantity(contest.test_lines, 'test line')}; {contest.corpus / 1e6:.1f} MB of corpus, "
            f"checked: {quantity(contest.checked, 'line')}"
        )
    for checkpoint in found.to_fetch:
        print(f"encoder   {checkpoint}: `prepare` will fetch it")
    print(f"preset    {found.preset}: {found.why}")
