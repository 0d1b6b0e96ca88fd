"""Forecasts scores: a Gaussian over the scores of all candidates on both boards.

n candidates with out-of-fold scores o have the following scores on the public board, A, and on the private one, B:

    truth_i = o_i + δ + γ (o_i − mean of o) + η_i        δ ~ N(0, offset_sd²), γ ~ N(0, slope_sd²), η ~ N(0, K)
    A_i     = truth_i + noise                            noise ~ N(0, L + noise_sd² I), and B as A

where δ is the shift of all candidates on the test lines, γ the extra gain of the better ones, and K the sampling error
of the N_i scored training lines: K_ij = sd_i sd_j r_ij, with sd_i from the bootstrap over lines. On a board of N_A
lines the error is √(N_i / N_A) times as large: L_ij = √(N_i N_j) / N_A K_ij. The more candidates agree, the more their
errors correlate: r_ij = exp(−(1 − a_ij) / (1 − f²)), with a the span F1 of one against the other, f the mean of o.
Candidates with independent errors agree to about f², so 1 − f² is the unit of disagreement. r is 1 for equal
candidates, and positive semidefinite because a is: the exponential of a kernel is a kernel.

Recorded scores are entries of A; the forecast of all others follows by conditioning (Kalman's formulas).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daguan.competition.candidates import Candidate
from daguan.competition.settings import PlanSettings

Array = NDArray[np.float64]

PERFECT = 0.99  # upper limit on the mean score, so that disagreement has a unit


@dataclass(frozen=True)
class LineCounts:
    """The numbers of training lines and of test lines."""

    train: int
    test: int


@dataclass(frozen=True)
class Forecast:
    """The joint Gaussian of n public scores followed by n private ones.

    Attributes:
        mean: (2n,)
        covariance: (2n,2n)
    """

    mean: Array
    covariance: Array

    @property
    def size(self) -> int:
        return len(self.mean) // 2

    def gain(self, at: Sequence[int]) -> Array:
        """Returns (2n,m) how much each score moves with each of the public scores `at` (Kalman gain)."""
        return np.asarray(np.linalg.solve(self.covariance[np.ix_(at, at)], self.covariance[at]).T)

    def given(self, at: Sequence[int], scores: Sequence[float]) -> Forecast:
        """Returns the forecast once the public scores `at` are known."""
        gain = self.gain(at)
        mean = self.mean + gain @ (np.asarray(scores, dtype=float) - self.mean[at])
        return Forecast(mean, self.covariance - gain @ self.covariance[at])

    def deviation(self, index: int) -> float:
        return math.sqrt(max(float(self.covariance[index, index]), 0.0))


def prior_forecast(
    candidates: Sequence[Candidate], agreements: Array, lines: LineCounts, settings: PlanSettings
) -> Forecast:
    """Returns the forecast before any score is recorded, by the formulas above; `agreements` is (n,n)."""
    scores = np.array([candidate.out_of_fold for candidate in candidates])
    sd = np.array([candidate.sd for candidate in candidates])
    unit = 1 - min(scores.mean(), PERFECT) ** 2
    sampled = np.outer(sd, sd) * np.exp(-(1 - agreements) / unit)
    centred = scores - scores.mean()
    truth = settings.offset_sd**2 + settings.slope_sd**2 * np.outer(centred, centred) + sampled
    scored = np.array([candidate.lines or lines.train for candidate in candidates], dtype=float)
    both = np.sqrt(np.outer(scored, scored))
    shares = (settings.public_share, 1 - settings.public_share)
    own = settings.noise_sd**2 * np.eye(len(scores))
    public, private = (truth + both / (lines.test * share) * sampled + own for share in shares)
    return Forecast(np.tile(scores, 2), np.block([[public, truth], [truth, private]]))
