"""The plot of the history."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgerift.steps import write_whole
from edgerift.train._history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGINS: Final = {"left": 0.08, "right": 0.99, "bottom": 0.14, "top": 0.92, "wspace": 0.22}


def plot_history(history: History, path: Path) -> None:
    """Draw loss and accuracy of training and validation over the epochs into a PNG file.

    The same history gives the same bytes. Raises `StoreError` when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=120)
    FigureCanvasAgg(figure)
    # Fixed margins: to find them by drawing takes as long as all the rest, and every training draws its history.
    losses, accuracies = figure.subplots(1, 2, gridspec_kw=_MARGINS)
    epochs = history.epochs
    _panel(losses, "loss", [epoch.train_loss for epoch in epochs], [epoch.validation_loss for epoch in epochs])
    _panel(
        accuracies,
        "accuracy (%)",
        [_percent(epoch.train_accuracy) for epoch in epochs],
        [_percent(epoch.validation_accuracy) for epoch in epochs],
        [_percent(epoch.attacked_accuracy) for epoch in epochs],
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_whole(Path(path), buffer.getvalue())


def _panel(axes: Axes, what: str, *curves: Sequence[float | None]) -> None:
    for label, values in zip(("training", "validation", "validation, attacked"), curves, strict=False):
        points = [(number, value) for number, value in enumerate(values, 1) if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker="o", markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel(what)
    axes.locator_params(axis="x", integer=True)
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    axes.grid(visible=True, alpha=0.3)
    if axes.has_data():
        axes.legend()


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
