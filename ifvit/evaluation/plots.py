"""Plots of error rates and scores, as PNG bytes for a report."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ifvit.evaluation.metrics import eer, error_curve

DPI = 110


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software name inside: equal scores give equal bytes.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def det_plot(systems: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> bytes:
    """Draw the DET curve, FNMR over FMR on log axes, of each named (genuine, impostor) pair; PNG.

    The axes end at the smallest rate above 0 that the comparisons can show. Raises ValueError as
    ``metrics.error_curve`` does, and for no system at all.
    """
    if not systems:
        raise ValueError("no scores to plot: expected at least one named pair of score lists")
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    lowest = 1.0
    for name, (genuine, impostor) in systems.items():
        curve = error_curve(genuine, impostor)
        floor = 0.5 / max(np.size(genuine), np.size(impostor))
        lowest = min(lowest, floor)
        # A log axis has no 0: rates of 0 are drawn half a comparison above it.
        fmr, fnmr = np.maximum(curve.fmr, floor), np.maximum(curve.fnmr, floor)
        label = f"{name}, EER {100 * eer(genuine, impostor):.1f} %"
        axes.step(fmr, fnmr, where="post", label=label)
    axes.plot([lowest, 1], [lowest, 1], color="0.7", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.05))
    axes.set(xlabel="FMR (impostors accepted)", ylabel="FNMR (genuine rejected)")
    axes.grid(True, which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", fontsize=8)
    return _png(figure)


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
