"""The plot of an attack's learning curve."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from edgerift.extract._curve import CurvePoint
from edgerift.steps import write_whole


def plot_curve(curve: Sequence[CurvePoint], victim_error: float, path: Path) -> None:
    """Draw error and disagreement over the queries, and beside them the quality of the differences, into a PNG file.

    The same curve gives the same bytes. Raises `StoreError` when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    quality, masked = figure.subplots(1, 2)
    known = [(point.queries, point.measured) for point in curve if point.measured is not None]
    queries = [each for each, _ in known]
    quality.plot(queries, [100 * each.error for _, each in known], label="clone's error", marker="o", markersize=3)
    quality.plot(
        queries, [100 * each.disagreement for _, each in known], label="disagreement", marker="o", markersize=3
    )
    quality.axhline(100 * victim_error, color="0.4", linestyle="--", linewidth=1, label="victim's error")
    quality.set_ylabel("share of test images (%)")
    zeros = [(point.queries, point.zero_share) for point in curve if point.zero_share is not None]
    if zeros:
        masked.plot(*zip(*zeros, strict=True), label="differences that are zero", marker="o", markersize=3)
    slopes = [
        (each, found.masking.correlation)
        for each, found in known
        if found.masking is not None and found.masking.correlation is not None
    ]
    if slopes:
        masked.plot(*zip(*slopes, strict=True), label="correlation with the slopes", marker="o", markersize=3)
    masked.set_ylim(-1.05 if any(value < 0 for _, value in slopes) else -0.05, 1.05)
    if not zeros:
        masked.text(0.5, 0.5, "uses no differences", transform=masked.transAxes, ha="center", color="0.4")
    for axes in (quality, masked):
        axes.set_xlabel("queries")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(visible=True, alpha=0.3)
        if axes.has_data():
            axes.legend()
    quality.set_ylim(bottom=0)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_whole(Path(path), buffer.getvalue())
