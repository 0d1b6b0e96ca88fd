"""Compares the CRF alone (loss with its gradients, decoding) with pytorch-crf on ragged lengths.

Both sides read the same emissions, tags and transitions, illegal ones at −10,000; their losses must agree within 1e-4,
their gradients within 1e-3 along a random direction, and their decoded tags everywhere. The peer runs in two shells
(see `harness.shells`), and the faster one counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Aim, Comparison, Report, alternate, best, machine, options, our_environment, shells
from benchmarks.sides import Side
from daguan.core.types import Span
from daguan.data.batches.collate import length_mask
from daguan.data.tags import TagScheme
from daguan.data.viterbi import best_legal_paths
from daguan.nn.crf import ConstrainedCrf

THREADS = 2
SHAPES = ((32, 60), (64, 128), (8, 512))
LABELS = (3, 10)  # K = 13 and 41
AIMS = {"loss": 4.0, "decode": 8.0}
FORBIDDEN = -1e4


class Problem:
    """Emissions, legal tags and lengths of one shape, and the transition scores; the same in every process."""

    def __init__(self, batch: int, length: int, labels: int) -> None:
        rng = np.random.default_rng(batch * length * labels)
        self.scheme = TagScheme(tuple(chr(ord("a") + number) for number in range(labels)))
        size = len(self.scheme)
        lengths = rng.integers(length // 4, length + 1, batch)
        lengths[0] = length
        self.mask = length_mask(torch.from_numpy(lengths), length)
        self.emissions = _normal(rng, batch, length, size)
        self.probe = _normal(rng, batch, length, size)  # the direction along which gradients are compared
        self.transitions, self.edges = _normal(rng, size, size), _normal(rng, size)
        self.tags = torch.zeros(batch, length, dtype=torch.long)
        for row, stop in enumerate(lengths):
            self.tags[row, :stop] = torch.from_numpy(self.scheme.encode(int(stop), self._spans(rng, int(stop))))

    def _spans(self, rng: np.random.Generator, length: int) -> list[Span]:
        """An entity of one to three tokens every eight."""
        starts = range(0, length - 3, 8)
        return [Span(i, i + int(rng.integers(1, 4)), str(rng.choice(self.scheme.labels))) for i in starts]


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


class Ours:
    """daguan's CRF."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def pose(self, batch: int, length: int, labels: int) -> None:
        """Make the problem that the other methods work on."""
        self.problem = Problem(batch, length, labels)
        self.crf = self.new_crf()
        with torch.no_grad():
            for parameter in self.crf.parameters():
                parameter.copy_(self.problem.transitions if parameter.ndim == 2 else self.problem.edges)

    def new_crf(self) -> Any:
        return ConstrainedCrf(self.problem.scheme)

    def nll(self, emissions: Tensor) -> Tensor:
        return self.crf.loss(emissions, self.problem.tags, self.problem.mask)

    def decode(self) -> list[list[int]]:
        """The best legal sequence of each row under the emissions, as a decoder of marginals sees it."""
        problem = self.problem
        lengths = problem.mask.sum(1).numpy()
        tags = best_legal_paths(problem.emissions[problem.mask].numpy(), lengths, problem.scheme)
        return [row.tolist() for row in np.split(tags, np.cumsum(lengths)[:-1])]

    def loss(self) -> tuple[float, float]:
        """The loss, and its gradient along the probe."""
        leaf = self.problem.emissions.clone().requires_grad_()
        loss = self.nll(leaf)
        self.crf.zero_grad()
        loss.backward()
        return loss.item(), float((leaf.grad * self.problem.probe).sum())

    def rate(self, what: str, seconds: float) -> float:
        """Calls a second."""
        call = getattr(self, what)
        call()
        start, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < seconds or not done:
            call()
            done += 1
        return done / spent


class Peer(Ours):
    """pytorch-crf. Its scores are plain parameters, into which the illegal transitions are written."""

    def new_crf(self) -> Any:
        from torchcrf import CRF

        self.decoder = CRF(len(self.problem.scheme), batch_first=True)
        for parameter in self.decoder.parameters():
            torch.nn.init.zeros_(parameter)
        self.forbid(self.decoder)
        return CRF(len(self.problem.scheme), batch_first=True)

    def pose(self, batch: int, length: int, labels: int) -> None:
        super().pose(batch, length, labels)
        self.forbid(self.crf)

    @torch.no_grad()
    def forbid(self, crf: Any) -> None:
        """No mass for what the scheme does not allow."""
        scheme = self.problem.scheme
        pairs = ((crf.transitions, scheme.allowed), (crf.start_transitions, scheme.may_start))
        for scores, allowed in (*pairs, (crf.end_transitions, scheme.may_end)):
            scores.masked_fill_(~torch.from_numpy(allowed), FORBIDDEN)

    def nll(self, emissions: Tensor) -> Tensor:
        return -self.crf(emissions, self.problem.tags, self.problem.mask, reduction="sum")

    @torch.no_grad()
    def decode(self) -> list[list[int]]:
        found: list[list[int]] = self.decoder.decode(self.problem.emissions, self.problem.mask)
        return found


def main(words: list[str]) -> None:
    asked = options(words, __doc__)
    report = Report("crf", machine(THREADS))
    rounds, seconds = (2, 0.02) if asked.quick else (7, 0.5)
    with ExitStack() as stack:
        ours = stack.enter_context(Side("benchmarks.crf:Ours", our_environment(THREADS), threads=THREADS))
        peers = {
            shell: stack.enter_context(Side("benchmarks.crf:Peer", environment, threads=THREADS))
            for shell, environment in shells(THREADS).items()
        }
        for batch, length in SHAPES[:1] if asked.quick else SHAPES:
            for labels in LABELS:
                for side in (ours, *peers.values()):
                    side.call("pose", batch=batch, length=length, labels=labels)
                check_equal(ours, peers["plain"])
                for what in AIMS:
                    name = f"{what} ({batch},{length}) K={1 + 4 * labels}"
                    compare(report, name, {"ours": ours} | peers, rounds, seconds)
    report.note("losses, gradients and decoded tags were equal in every row (asserted)")
    report.note("peer: pytorch-crf in the faster of two shells, a plain one and one with our process environment")
    report.show(asked.json)


def compare(report: Report, name: str, sides: Mapping[str, Side], rounds: int, seconds: float) -> None:
    """Add the row of the operation with which `name` begins, on the given problem."""
    what = name.split()[0]
    given = alternate(
        rounds, {key: partial(side.call, "rate", what=what, seconds=seconds) for key, side in sides.items()}
    )
    shell = best(given, shells(THREADS))
    found = Comparison.of_rates(given["ours"], given[shell])
    report.add(
        {"what": name, **found.row("calls/s"), "shell": shell}, Aim.at_least(name, AIMS[what], found.ratio, " x")
    )


def check_equal(ours: Side, peer: Side) -> None:
    """Raises AssertionError if the sides do not compute the same."""
    (loss, slope), (peer_loss, peer_slope) = ours.call("loss"), peer.call("loss")
    assert abs(loss - peer_loss) <= 1e-4 * abs(peer_loss), f"loss: ours {loss}, peer's {peer_loss}"
    assert abs(slope - peer_slope) <= 1e-3 * max(1, abs(peer_slope)), f"gradient: ours {slope}, peer's {peer_slope}"
    assert ours.call("decode") == peer.call("decode"), "decoded tags differ"


if __name__ == "__main__":
    main(sys.argv[1:])
