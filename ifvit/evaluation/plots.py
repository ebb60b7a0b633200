"""Plots of error rates and scores, as PNG bytes for a report."""

from __future__ import annotations

import io
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ifvit.evaluation.discard import DiscardCurve
from ifvit.evaluation.metrics import eer, error_curve

DPI = 110

DET_TICKS = (1e-4, 1e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Marked rates of a DET plot, as shares."""


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software name inside: equal scores give equal bytes.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def det_plot(systems: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> bytes:
    """Draw the DET curve of each named (genuine, impostor) pair of score lists; PNG.

    FNMR over FMR on normal-deviate axes, where normal scores give a straight line (Martin et al.,
    "The DET curve in assessment of detection task performance", Eurospeech 1997; ISO/IEC 19795-1).
    A rate of 0 is drawn half a comparison above it. Raises ValueError as ``metrics.error_curve``
    does, and for no system at all.
    """
    if not systems:
        raise ValueError("no scores to plot: expected at least one named pair of score lists")
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    lowest = 0.5
    for name, (genuine, impostor) in systems.items():
        curve = error_curve(genuine, impostor)
        floors = 0.5 / np.size(impostor), 0.5 / np.size(genuine)
        lowest = min(lowest, *floors)
        fmr, fnmr = (
            _deviate(np.clip(rate, floor, 1 - floor))
            for rate, floor in zip((curve.fmr, curve.fnmr), floors, strict=True)
        )
        label = f"{name}, EER {100 * eer(genuine, impostor):.1f} %"
        axes.step(fmr, fnmr, where="post", label=label)
    shown = [tick for tick in DET_TICKS if tick >= lowest]
    limits = float(_deviate(lowest)), float(_deviate(0.6))
    axes.plot(limits, limits, color="0.7", linewidth=0.8, linestyle="--")
    for axis, set_limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        axis.set_ticks(_deviate(shown), [f"{100 * tick:g}" for tick in shown])
        set_limits(*limits)
    axes.set(xlabel="FMR in % (impostors accepted)", ylabel="FNMR in % (genuine rejected)")
    axes.grid(True, color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper right", fontsize=8)
    return _png(figure)


def discard_plot(curve: DiscardCurve) -> bytes:
    """Draw the FNMR over the share of comparisons discarded by quality; PNG."""
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    start = 100 * curve.fnmr[0]
    axes.step(100 * curve.discarded, 100 * curve.fnmr, where="post", label="by quality")
    rest = np.maximum(start - 100 * curve.discarded, 0) / (1 - curve.discarded)
    axes.plot(100 * curve.discarded, rest, color="0.7", linestyle="--", label="errors first")
    axes.axhline(start, color="0.7", linewidth=0.8, label="by chance")
    axes.set(xlabel="discarded comparisons in %", ylabel="FNMR in %", xlim=(0, 50), ylim=(0, None))
    axes.legend(fontsize=8)
    return _png(figure)


def match_plot(image0: ArrayLike, image1: ArrayLike, lines: ArrayLike, right: ArrayLike) -> bytes:
    """Draw two prints (H,W) side by side, and lines between their points, right ones in blue; PNG.

    ``lines`` (K,2,2) are x, y in each print's pixels; ``right`` (K) says which are true.
    """
    prints = [np.asarray(image, float) for image in (image0, image1)]
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    # A row of prints whose contrast is normalised: two deviations are black and white.
    axes.imshow(np.concatenate(prints, axis=1), cmap="gray", vmin=-2, vmax=2)
    axes.set_axis_off()
    ends = np.asarray(lines, float) + np.array([[0, 0], [prints[0].shape[1], 0]])
    for (start, end), true in zip(ends, np.asarray(right), strict=True):
        colour = "tab:blue" if true else "tab:red"
        axes.plot(*zip(start, end, strict=True), color=colour, linewidth=0.8, alpha=0.7)
    return _png(figure)


def _deviate(share: ArrayLike) -> np.ndarray:
    """Return the standard normal quantile of shares in (0, 1)."""
    quantile = NormalDist().inv_cdf
    return np.vectorize(quantile, otypes=[float])(np.asarray(share, float))


def score_histogram(genuine: ArrayLike, impostor: ArrayLike, label: str = "score") -> bytes:
    """Draw the distributions of genuine and impostor scores; PNG.

    Comparisons that failed (-inf) are counted in the legend. Raises ValueError as
    ``metrics.error_curve`` does.
    """
    error_curve(genuine, impostor)  # one check of the input, with one text
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(-1, 1, 51).tolist()
    for name, scores, colour in (
        ("genuine", genuine, "#1f77b4"),
        ("impostor", impostor, "#ff7f0e"),
    ):
        values = np.asarray(scores, float).ravel()
        made = np.clip(values[np.isfinite(values)], -1, 1)
        failed = values.size - made.size
        legend = f"{name} ({values.size}" + (f", {failed} not aligned)" if failed else ")")
        # Shares, since there are usually many more impostor comparisons than genuine ones.
        weights = np.full(made.size, 1 / values.size)
        axes.hist(made, edges, weights=weights, color=colour, alpha=0.55, label=legend)
    axes.set(xlabel=label, ylabel="share of comparisons", xlim=(-1, 1))
    axes.legend(fontsize=8)
    return _png(figure)
