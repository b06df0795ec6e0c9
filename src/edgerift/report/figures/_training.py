"""How originals and adapted models were trained: accuracy over epochs (the first paper's figures 6 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.facts import ADAPTATIONS, ORIGINAL_VICTIM, Facts, Reading
from edgerift.facts import readings as of
from edgerift.report.figures._panels import Panel, line_key, panel_figure, panel_label, panels
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.shared._plot_scales import whole_numbers
from edgerift.report.shared._plots import INK, Look, palette
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS: Final[Mapping[str, Look]] = {
    **palette(list(dict.fromkeys(("qat", "finetune", *ADAPTATIONS)))),
    ORIGINAL_VICTIM: Look(INK, "o"),
}
_TITLES: Final[Mapping[str, str]] = {ORIGINAL_VICTIM: "original", **ADAPTATIONS}
_DASHES: Final = (0, (4, 2))
#: How wide the panels of an original and of what was adapted from it are.
_RATIOS: Final = [2.2, 1.0]
#: How many of its wide panels would stand side by side in half a figure.
_COLUMNS: Final = 1.5


class _Training(NamedTuple):
    """One model's training: the facts of its epochs by seed, and those of the original that it started from."""

    name: str
    seeds: dict[int, Facts]
    before: dict[int, Facts]

    def curves(self, reading: Reading[Any]) -> list[dict[float, float]]:
        """Give each seed's accuracies in percent by epoch, from the last one of the original on."""
        curves = []
        for seed, epochs in self.seeds.items():
            first = max(fact.over for fact in self.before[seed]) if seed in self.before else 0.0
            shown = [(first, fact) for fact in self.before[seed].of(reading, at=first)] if first else []
            shown += [(first + fact.over, fact) for fact in epochs.of(reading)]
            curves.append({epoch: 100 * fact.value for epoch, fact in shown})
        return curves


@study_figure(
    "training",
    10,
    "Training",
    "Right answers over epochs, as in the DIVA paper's figures 6 and 7: the original, and beside it, on a scale of "
    "their own, the models adapted from it, which start where it ended. The float control is the original trained "
    "as long as QAT trains it, without quantization. Thick lines are means over the seeds.",
    place="evasion",
    beside="accuracy",
)
def training(found: Facts) -> Chart | None:
    """Draw accuracy over epochs."""
    return Chart(draw_training, training_words) if found.of(*of.EPOCH.readings) else None


def draw_training(found: Facts) -> Figure:
    """Draw accuracy over epochs for each data set and original; beside it, larger, how the adapted models went on."""
    shown = [(panel, own) for panel in panels(found) if (own := _trainings(panel))]
    known = {training.name for _, own in shown for training in own}
    several = any(len(training.seeds) > 1 for _, own in shown for training in own)
    side_by_side = min(len(shown), 2)
    keys = _keys([name for name in _TITLES if name in known], several)
    ratios = {"width_ratios": _RATIOS * side_by_side}
    figure, axes = panel_figure(2 * len(shown), 2 * side_by_side, 2.4, keys, gridspec_kw=ratios)
    for number, (panel, own) in enumerate(shown):
        whole, adapted = axes[2 * number : 2 * number + 2]
        panel_label(whole, panel.title, "epoch", "right answers (%)", 2 * _COLUMNS)
        panel_label(adapted, "adapted", "epoch", "", 2 * sum(_RATIOS))
        for training in own:
            _draw(whole if training.name == ORIGINAL_VICTIM else adapted, training)
        adapted.set_visible(any(training.name != ORIGINAL_VICTIM for training in own))
        for one in (whole, adapted):
            whole_numbers(one)
    return figure


def training_words(found: Facts) -> str:
    """Give where each training ended."""
    return "; ".join(
        f"{panel.title}, {_TITLES[training.name]}: {_ending(training)}"
        for panel in panels(found)
        for training in _trainings(panel)
    ) + "."  # fmt: skip


def _trainings(panel: Panel) -> list[_Training]:
    """List who was trained: the original first, then what was adapted from it."""
    own = panel.facts.of(*of.EPOCH.readings).by("victim")
    before = own[ORIGINAL_VICTIM].by("seed") if ORIGINAL_VICTIM in own else {}
    return [
        _Training(name, own[name].by("seed"), {} if name == ORIGINAL_VICTIM else before)
        for name in _TITLES
        if name in own
    ]


def _ending(training: _Training) -> str:
    counts = {seed: int(max(fact.over for fact in epochs)) for seed, epochs in training.seeds.items()}
    told = []
    for kind, reading in (("validation", of.VALIDATION), ("training", of.TRAINING)):
        accuracies = {seed: epochs.of(reading) for seed, epochs in training.seeds.items()}
        first = [fact.value for own in accuracies.values() for fact in own.where(at=1)]
        last = [fact.value for seed, own in accuracies.items() for fact in own.where(at=counts[seed])]
        if last:
            several = max(counts.values()) > 1 and first
            told.append(
                f"{kind} accuracy {f'from {percent(_mean(first))} to ' if several else ''}{percent(_mean(last))}"
            )
    count = max(counts.values())
    seeds = "" if len(counts) == 1 else f", mean of {len(counts)} seeds"
    return f"{', '.join(told) or 'accuracy not measured'} in {count} epoch{'' if count == 1 else 's'}{seeds}"


def _draw(axes: Axes, training: _Training) -> None:
    look = _LOOKS[training.name]
    for reading, style in ((of.TRAINING, _DASHES), (of.VALIDATION, "-")):
        curves = training.curves(reading)
        shared: dict[str, Any] = {"color": look.colour, "linestyle": style}
        if len(curves) > 1:
            for curve in curves:
                axes.plot(list(curve), list(curve.values()), linewidth=0.6, alpha=0.4, zorder=2, **shared)
        epochs = sorted({epoch for curve in curves for epoch in curve})
        means = [_mean([curve[epoch] for curve in curves if epoch in curve]) for epoch in epochs]
        end = 0 if training.name == ORIGINAL_VICTIM else 3.4
        axes.plot(epochs, means, linewidth=1.6, marker=look.marker, markersize=end, zorder=3, **shared)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _keys(names: Sequence[str], several: bool) -> list[Any]:
    keys = [line_key(_TITLES[name], _LOOKS[name].colour, linewidth=1.6) for name in names]
    keys += [line_key("validation images"), line_key("training images, while it trains", linestyle=_DASHES)]
    return [*keys, line_key("thin: single seeds", linewidth=0.6, alpha=0.5)] if several else keys
