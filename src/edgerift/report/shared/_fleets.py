"""What the reports say of a fleet: one file run by several sets of kernels."""

from __future__ import annotations

from edgerift.audit import FleetPart
from edgerift.report.shared._words import bounds, levels, percent, rate

#: The columns of the table of pairs.
HEADINGS = ("Right", "Wrong", "Evasive", "95 % interval", "Without attack")


def fleet_words(fleet: FleetPart) -> list[str]:
    """Say in sentences how far the members of a fleet can be driven apart, and how alike they are before."""
    found, names = fleet.apart, [member.runtime for member in fleet.members]
    known = ", ".join(f"{member.runtime} {percent(member.accuracy.value)}" for member in fleet.members)
    return [
        f"{found.successes or 'None'} of {found.trials} images that the original and {_all(names)} classify correctly "
        f"could be perturbed, by at most {levels(fleet.attack.epsilon)} in any pixel, so that one of them is right and "
        f"another wrong, from one and the same file: {rate(found)}. For {rate(fleet.evasive_on_all)} the original "
        f"stays right and {_all(names)} are wrong.",
        f"Without an attack they give different labels to {rate(fleet.clean_apart)} of the test images. "
        f"Accuracy: {known}.",
    ]


def fleet_rows(fleet: FleetPart) -> list[tuple[str, ...]]:
    """List the pairs of members under :data:`HEADINGS`, those that are driven apart most often first."""
    ordered = sorted(fleet.pairs, key=lambda pair: -pair.evasive.value)
    return [
        (pair.right, pair.wrong, percent(pair.evasive.value), bounds(pair.evasive), percent(pair.clean.value))
        for pair in ordered
    ]


def _all(names: list[str]) -> str:
    """Name two or more runtimes together.

    >>> _all(["litert", "litert-builtin"]), _all(["a", "b", "c"])
    ('both litert and litert-builtin', 'all of a, b and c')
    """
    *first, last = names
    listed = f"{', '.join(first)} and {last}"
    return f"both {listed}" if len(names) == 2 else f"all of {listed}"
