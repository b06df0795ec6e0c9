"""How originals and adapted models were trained: accuracy over epochs (the first paper's figures 6 and 7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.report.figures._panels import ADAPTATIONS, Panel, line_key, panel_figure, panel_label, panels
from edgerift.report.shared._plot_scales import whole_numbers
from edgerift.report.shared._plots import INK, Look
from edgerift.report.shared._words import percent
from edgerift.study import EpochPart, PairCell, StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORIGINAL: Final = "original"

_LOOKS: Final[Mapping[str, Look]] = {
    ORIGINAL: Look(INK, "o"),
    "qat": Look("#0072b2", "o"),
    "finetune": Look("#c2410c", "D"),
}
_TITLES: Final[Mapping[str, str]] = {ORIGINAL: "original", **ADAPTATIONS}
_TRAINING: Final = (0, (4, 2))
#: How wide the panels of an original and of what was adapted from it are.
_RATIOS: Final = [2.2, 1.0]
#: How many of its wide panels would stand side by side in half a figure.
_COLUMNS: Final = 1.5

Epochs = Sequence[EpochPart]
_Accuracy = Callable[[EpochPart], float | None]


class Training(NamedTuple):
    """One model's training for each seed, and for each the original that it started from."""

    name: str
    epochs: tuple[Epochs, ...]
    before: tuple[Epochs, ...]


def trainings(panel: Panel[PairCell]) -> list[Training]:
    """List who was trained: the original first, then what was adapted from it."""
    originals = {cell.seed: cell.report.original_epochs for cell in panel.cells if cell.report.original_epochs}
    found = [Training(ORIGINAL, tuple(originals.values()), ((),) * len(originals))] if originals else []
    for name in ADAPTATIONS:
        cells = [cell for cell in panel.cells if cell.adaptation == name and cell.report.adapted_epochs]
        if cells:
            epochs = tuple(cell.report.adapted_epochs for cell in cells)
            found.append(Training(name, epochs, tuple(cell.report.original_epochs for cell in cells)))
    return found


def has_training(result: StudyResult) -> bool:
    """Tell whether any training is known."""
    return any(cell.report.original_epochs or cell.report.adapted_epochs for cell in result.pairs)


def draw_training(result: StudyResult) -> Figure:
    """Draw accuracy over epochs for each data set and original; beside it, larger, how the adapted models went on."""
    shown = [panel for panel in panels(result, result.pairs) if trainings(panel)]
    known = {training.name for panel in shown for training in trainings(panel)}
    several = any(len(training.epochs) > 1 for panel in shown for training in trainings(panel))
    side_by_side = min(len(shown), 2)
    ratios = {"width_ratios": _RATIOS * side_by_side}
    figure, axes = panel_figure(
        2 * len(shown),
        2 * side_by_side,
        2.4,
        _keys([name for name in _TITLES if name in known], several),
        gridspec_kw=ratios,
    )
    for number, panel in enumerate(shown):
        whole, adapted = axes[2 * number : 2 * number + 2]
        found = trainings(panel)
        panel_label(whole, panel.title, "epoch", "right answers (%)", 2 * _COLUMNS)
        panel_label(adapted, "adapted", "epoch", "", 2 * sum(_RATIOS))
        for training in found:
            _draw(whole if training.name == ORIGINAL else adapted, training)
        adapted.set_visible(any(training.name != ORIGINAL for training in found))
        for one in (whole, adapted):
            whole_numbers(one)
    return figure


def training_words(result: StudyResult) -> str:
    """Give where each training ended."""
    return "; ".join(
        f"{panel.title}, {_TITLES[training.name]}: {_ending(training)}"
        for panel in panels(result, result.pairs)
        for training in trainings(panel)
    ) + "."  # fmt: skip


def _ending(training: Training) -> str:
    told = []
    for kind, accuracy in (("validation", _validation), ("training", _training)):
        first, last = (_mean([accuracy(epochs[place]) for epochs in training.epochs if epochs]) for place in (0, -1))
        if not math.isnan(last):
            several = max(len(epochs) for epochs in training.epochs) > 1
            rise = f"from {percent(first)} to {percent(last)}" if several else percent(last)
            told.append(f"{kind} accuracy {rise}")
    count = max(len(epochs) for epochs in training.epochs)
    seeds = "" if len(training.epochs) == 1 else f", mean of {len(training.epochs)} seeds"
    return f"{', '.join(told) or 'accuracy not measured'} in {count} epoch{'' if count == 1 else 's'}{seeds}"


def _draw(axes: Axes, training: Training) -> None:
    look = _LOOKS[training.name]
    for accuracy, style in ((_training, _TRAINING), (_validation, "-")):
        curves = list(_curves(training, accuracy))
        shared: dict[str, Any] = {"color": look.colour, "linestyle": style}
        if len(curves) > 1:
            for curve in curves:
                axes.plot(list(curve), list(curve.values()), linewidth=0.6, alpha=0.4, zorder=2, **shared)
        epochs = sorted({epoch for curve in curves for epoch in curve})
        means = [_mean([curve.get(epoch) for curve in curves]) for epoch in epochs]
        end = 0 if training.name == ORIGINAL else 3.4
        axes.plot(epochs, means, linewidth=1.6, marker=look.marker, markersize=end, zorder=3, **shared)


def _curves(training: Training, accuracy: _Accuracy) -> Iterator[dict[int, float]]:
    """Give each seed's accuracies in percent by epoch, from the last one of the original on."""
    for epochs, before in zip(training.epochs, training.before, strict=True):
        told = [*before[-1:], *epochs]
        first = len(before) if before else 1
        values = {first + number: accuracy(epoch) for number, epoch in enumerate(told)}
        yield {epoch: 100 * value for epoch, value in values.items() if value is not None}


def _training(epoch: EpochPart) -> float | None:
    return epoch.train_accuracy


def _validation(epoch: EpochPart) -> float | None:
    return epoch.validation_accuracy


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _keys(names: Sequence[str], several: bool) -> list[Any]:
    keys = [line_key(_TITLES[name], _LOOKS[name].colour, linewidth=1.6) for name in names]
    keys += [line_key("validation images"), line_key("training images, while it trains", linestyle=_TRAINING)]
    return [*keys, line_key("thin: single seeds", linewidth=0.6, alpha=0.5)] if several else keys
