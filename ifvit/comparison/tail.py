"""False match rates below those that were counted: extrapolated from the tail of impostor scores.

n impostor comparisons count rates down to 1 / (n + 1). For lower rates, the scores above a high
threshold are modelled by a generalised Pareto distribution, which the tails of nearly all
distributions approach. Such a rate is an extrapolation: it assumes that the tail goes on as seen.
Source: Coles, "An introduction to statistical modeling of extreme values", Springer, chapter 4; the
fit by probability-weighted moments is Hosking and Wallis', "Parameter and quantile estimation for
the generalized Pareto distribution", Technometrics 29(3), 1987.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Beyond(NamedTuple):
    """A false match rate extrapolated from the tail, with its interval of 95 %."""

    value: float
    low: float
    high: float


class TailRule(NamedTuple):
    """How a tail is fitted. It affects no score, so it is no part of the settings' fingerprint."""

    share: float = 0.05
    """Share of the impostor scores that are the tail."""
    fewest: int = 20
    """Smallest number of scores in a tail: with fewer, nothing is extrapolated."""
    resampled: int = 400
    """Number of fits to resampled scores, from which the interval is taken."""
    interval: float = 0.95


TAIL_RULE = TailRule()


class Tail:
    """The tail of impostor scores, extrapolated beyond them."""

    def __init__(
        self, impostor: Float[np.ndarray, " I"], rule: TailRule = TAIL_RULE, seed: int = 0
    ) -> None:
        """Fit the tail of scores in any order; with too few there is none (:attr:`known`).

        Comparisons are resampled as if they were independent, even where they share a print, so
        that the interval is too narrow rather than too wide.
        """
        self.rule, self.floor = rule, 1 / (len(impostor) + 1)
        self.start = float(np.quantile(impostor, 1 - rule.share)) if len(impostor) else np.inf
        self.highest = float(impostor.max()) if len(impostor) else np.inf
        self._excess, self._seed = np.sort(impostor[impostor > self.start] - self.start), seed
        self.known = len(self._excess) >= rule.fewest
        if self.known:
            self.shape, self.scale = fitted(self._excess)

    @cached_property
    def _fits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the fits to resampled scores, made once a rate is asked for that needs them."""
        rng = np.random.default_rng(self._seed)
        again = rng.choice(self._excess, (self.rule.resampled, len(self._excess)))
        return fitted(np.sort(again, axis=-1))

    def fmr(self, score: float) -> Beyond | None:
        """Return the false match rate of accepting a score that no impostor reached.

        It is None where counting gives the rate as well, or where the tail has too few scores.
        """
        if not self.known or score <= self.highest:
            return None
        value = self._rate(score, self.shape, self.scale)
        low, high = np.quantile(self._rate(score, *self._fits), self._ends, method="higher")
        if high >= self.floor:
            return None
        return Beyond(float(value), float(low), float(high))

    def threshold(self, fmr: float) -> float:
        """Return the score from which on the upper end of the interval is at most ``fmr``.

        Raises ValueError where the tail is not known.
        """
        if not self.known:
            raise ValueError(f"too few impostor scores to extrapolate to an FMR of {fmr:g}")
        shape, scale = self._fits
        ratio = np.log(self.rule.share / fmr)
        steep = np.maximum(shape, 1e-12)
        excess = scale * np.where(shape > 0, np.expm1(steep * ratio) / steep, ratio)
        return self.start + float(np.quantile(excess, self._ends[1], method="higher"))

    @property
    def _ends(self) -> tuple[float, float]:
        outside = (1 - self.rule.interval) / 2
        return outside, 1 - outside

    def _rate(self, score: float, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
        excess = (score - self.start) / scale
        steep = np.maximum(shape, 1e-12)
        fall = np.where(shape > 0, np.log1p(steep * excess) / steep, excess)
        return np.asarray(self.rule.share * np.exp(-fall))


def fitted(excess: Float[np.ndarray, "*R N"]) -> tuple[np.ndarray, np.ndarray]:
    """Return shape and scale of a generalised Pareto distribution of excesses, lowest first.

    A shape below 0 would mean an upper limit of the scores, beyond which the rate is 0, which no
    count can prove: it is replaced by 0, an exponential.
    """
    shape, scale = moments(excess)
    mean = excess.mean(-1)
    return np.asarray(np.maximum(shape, 0)), np.where(shape > 0, scale, mean)


def moments(excess: Float[np.ndarray, "*R N"]) -> tuple[np.ndarray, np.ndarray]:
    """Return shape and scale by probability-weighted moments; the shape may have either sign."""
    count = excess.shape[-1]
    above = 1 - (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = excess.mean(-1), (excess * above).mean(-1)
    apart = mean - 2 * weighted
    return np.asarray(2 - mean / apart), np.asarray(2 * mean * weighted / apart)
