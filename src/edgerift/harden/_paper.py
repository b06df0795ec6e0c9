"""The figures of the second paper that a comparison prints beside its own."""

from __future__ import annotations

from typing import Final, Literal

from edgerift.deploy import Target
from edgerift.harden._document import PaperRow

#: KnockoffNets against ResNet-18 victims of target server, errors in percent: Khaled et al. 2025, arXiv:2512.23948.
#: The first six rows are Table III, the last two Table IV.
_ROWS: Final = ("large", "ptq", "qat", "rs", "dcp", "divqat", "divqat+rs", "divqat+dcp")
_TABLE: Final = {
    "cifar10": (
        (16.37, 20.56), (16.69, 21.17), (15.52, 20.40), (15.52, 21.77),
        (15.55, 24.21), (20.03, 23.52), (16.41, 24.27), (16.24, 26.88),
    ),
    "cifar100": (
        (39.68, 63.98), (40.25, 63.94), (36.33, 58.52), (36.33, 57.76),
        (36.35, 65.28), (42.38, 65.29), (36.65, 61.25), (36.87, 69.46),
    ),
    "gtsrb": (
        (7.73, 43.90), (7.76, 50.18), (7.23, 50.18), (7.23, 46.31),
        (7.23, 51.71), (6.88, 52.03), (6.88, 54.30), (6.96, 59.36),
    ),
    "svhn": (
        (5.82, 9.22), (5.87, 9.22), (5.78, 9.22), (5.78, 9.52),
        (5.78, 18.43), (9.28, 20.97), (6.62, 13.15), (5.57, 20.56),
    ),
}  # fmt: skip


#: The same for target mobile, where Table V prints the rows qat and divqat; its server rows are those of Table III.
_MOBILE: Final = {
    "cifar10": {"qat": (15.51, 21.37), "divqat": (18.86, 24.12)},
    "cifar100": {"qat": (36.37, 58.97), "divqat": (37.60, 61.88)},
    "gtsrb": {"qat": (7.28, 51.65), "divqat": (6.62, 53.55)},
    "svhn": {"qat": (5.74, 9.22), "divqat": (9.37, 14.92)},
}

#: Data-free attacks on those victims, clone errors in percent: Table III, in the order of `_ROWS`.
#: What the paper calls MAZE is what the code of DFME runs under that name.
_DATA_FREE: Final = {
    "dfme": {
        "cifar10": (42.82, 43.18, 48.74, 46.80, 67.98, 69.40),
        "cifar100": (85.93, 85.06, 86.02, 86.88, 87.03, 95.69),
        "gtsrb": (35.97, 34.87, 34.87, 36.52, 44.58, 64.76),
        "svhn": (6.89, 6.48, 6.64, 5.93, 13.50, 84.06),
    },
    "maze-dfme": {
        "cifar10": (67.70, 74.12, 82.97, 77.61, 72.00, 90.00),
        "cifar100": (93.56, 95.17, 97.84, 94.72, 95.87, 98.20),
        "gtsrb": (73.30, 83.95, 83.95, 78.80, 82.02, 93.25),
        "svhn": (7.18, 49.90, 6.56, 32.45, 18.04, 92.24),
    },
}


#: What the paper calls each target: its server is fbgemm and its mobile qnnpack, which ours stand for as well.
_NAMES: Final[dict[Target, Literal["server", "mobile"]]] = {
    "server": "server", "fbgemm": "server", "mobile": "mobile", "qnnpack": "mobile",
}  # fmt: skip


def paper_name(target: Target) -> Literal["server", "mobile"]:
    """Say which of the paper's two configurations a target stands for; Tables III and IV are of `server` alone."""
    return _NAMES[target]


def paper_row(data: str, row: str, target: Target = "server") -> PaperRow | None:
    """Look up the paper's figures for a victim on a data set; None if it has none."""
    if paper_name(target) == "mobile":
        found = _MOBILE.get(data, {}).get(row)
    else:
        found = _TABLE[data][_ROWS.index(row)] if data in _TABLE and row in _ROWS else None
    if found is None:
        return None
    defender, adversary = found
    return PaperRow(defender_error=defender / 100, adversary_error=adversary / 100)


def paper_clone_error(data: str, row: str, attack: str) -> float | None:
    """Look up the paper's clone error of a data-free attack, a share in [0, 1]; None if it has none."""
    printed = _DATA_FREE.get(attack, {}).get(data, ())
    place = _ROWS.index(row) if row in _ROWS else len(_ROWS)
    return round(printed[place] / 100, 6) if place < len(printed) else None
