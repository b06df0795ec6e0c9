"""The evasive share over epsilon, of one attack or of several on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgerift.errors import InputError
from edgerift.evade import Curve
from edgerift.measure import interval
from edgerift.report.shared._plots import WIDTH, Look, label, legend, mark_key, new_figure, palette, png, whiskers
from edgerift.steps import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT: Final = 3.4
_MOST_TICKS: Final = 12
#: How far apart the marks of two attacks at one epsilon stand, as a share of the axis.
_APART: Final = 0.012


def curve_figure(curves: Curve | Mapping[str, Curve], path: Path) -> None:
    """Draw the evasive share over epsilon with its exact 95 % intervals into a PNG file.

    Several `curves` by name are drawn in one panel. The same curves give the same bytes. Raises
    :class:`~edgerift.errors.InputError` for none, and :class:`~edgerift.errors.StoreError` when the file cannot be
    written.
    """
    named = {"": curves} if isinstance(curves, Curve) else dict(curves)
    if not named:
        raise InputError("there is no curve to draw; give one, or several by name")
    look = palette(list(named))
    keys = [mark_key(look[name], name) for name in named if name]
    figure, (axes,) = new_figure(WIDTH, _HEIGHT + (0.3 if keys else 0), 1, 1)
    label(axes, _title(named), "epsilon (grey levels of 255)", "evasive images (%)")
    largest = max(epsilon for curve in named.values() for epsilon in curve.epsilons)
    for number, (name, curve) in enumerate(named.items()):
        _draw(axes, curve, look[name], (number - (len(named) - 1) / 2) * _APART * max(largest, 1))
    _ticks(axes, sorted({epsilon for curve in named.values() for epsilon in curve.epsilons}))
    axes.set_ylim(bottom=min(0.0, -0.02 * axes.get_ylim()[1]))
    if keys:
        legend(figure, keys, loc="outside lower left", ncols=min(len(keys), 4))
    write_whole(path, png(figure))


def _title(named: Mapping[str, Curve]) -> str:
    sets = ", ".join(dict.fromkeys(curve.data for curve in named.values()))
    counts = sorted({len(curve) for curve in named.values()})
    images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{sets}: {images} images that both models classify correctly"


def _draw(axes: Axes, curve: Curve, look: Look, beside: float) -> None:
    shares = [whiskers(interval(rate)) for rate in curve.rates]
    places = [epsilon + beside for epsilon in curve.epsilons]
    reach: Any = ([below for _, below, _ in shares], [above for _, _, above in shares])
    axes.errorbar(
        places, [value for value, _, _ in shares], yerr=reach, color=look.colour, marker=look.marker,
        markersize=look.size, linewidth=1.4, elinewidth=1.0, capsize=2.5,
    )  # fmt: skip


def _ticks(axes: Axes, epsilons: list[int]) -> None:
    from matplotlib.ticker import FixedLocator

    axes.set_xlim(left=min(0, epsilons[0]) - 0.02 * max(epsilons[-1], 1))
    if len(epsilons) <= _MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator([0, *epsilons]))
