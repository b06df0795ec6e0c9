"""PRADA: distances between queries of one class that are no longer normally distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal, final

from pydantic import Field

from edgerift._lazy import later
from edgerift.defend._monitor import Monitor, Verdict, Watch, monitor
from edgerift.settings import Count

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")

#: A class counts from as many distances on, the statistic is taken from more of all, and at every tenth query.
_CLASS: Final = 10
_LEAST: Final = 100
_EVERY: Final = 10
_DEVIATIONS: Final = 3


@final
@monitor
class Prada(Monitor):
    """Alarm when the Shapiro-Wilk statistic W of the distances between a client's queries falls below `threshold`.

    Juuti et al. 2019, "PRADA: Protecting Against DNN Model Stealing Attacks", https://arxiv.org/abs/1805.02628. The
    distance of a query is its smallest L2 distance to the kept ones of the same label; it is kept itself if that is
    over the label's own threshold, which only grows, to the mean less the deviation of its distances. W is taken every
    tenth query of all distances of labels with ten or more, without those beyond three deviations, once there are more
    than 100. The published thresholds are 0.90 to 0.96.

    As published every kept query is stored and W is of all distances so far, though it depends on their number. With
    `side` images are compared reduced to side x side pixels, with `kept` each label keeps the last so many, and with
    `window` W is of the last so many distances: memory then has a bound, and less of the clients' images is stored.

    Natural images of other sets look like any client's; bursts of almost equal frames, as a camera sends them, do not.
    """

    type: Literal["prada"] = "prada"
    title = "PRADA"
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    side: Count | None = None
    kept: Count | None = None
    window: Annotated[int, Field(gt=_LEAST)] | None = None

    def start(self) -> Watch:
        """Begin to watch a client."""
        return _Distances(self)


@final
class _Rows:
    """Rows of numbers that grow, up to the last `most` where that is given."""

    def __init__(self, rows: Tensor, most: int | None) -> None:
        self._most, self._count = most, len(rows)
        self._rows = torch.cat([rows, rows.new_empty(64, rows.shape[1])])

    def all(self) -> Tensor:
        return self._rows[: self._count]

    def add(self, row: Tensor) -> None:
        if self._most is not None and self._count == self._most:
            self._rows[: self._count - 1] = self._rows[1 : self._count].clone()
            self._count -= 1
        if self._count == len(self._rows):
            self._rows = torch.cat([self._rows, torch.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1


@final
class _Distances(Watch):
    """The kept queries and the distances of each label."""

    def __init__(self, settings: Prada) -> None:
        self._settings = settings
        self._kept: dict[int, _Rows] = {}
        self._distances: dict[int, list[float]] = {}
        self._thresholds: dict[int, float] = {}
        self._order: list[int] = []
        self._asked, self._alarm_at, self._statistic = 0, -1, float("nan")

    def watch(self, images: Tensor, answers: Tensor) -> Verdict:
        """Look at each image and its label."""
        for image, label in zip(self._reduced(images), answers.argmax(1).tolist(), strict=True):
            self._add(image, label)
            self._asked += 1
            if self._asked % _EVERY == 0:
                self._judge()
        known = self._statistic == self._statistic
        alarm_at = None if self._alarm_at < 0 else self._alarm_at
        return Verdict(alarm_at is not None, self._statistic if known else None, self._asked, alarm_at)

    def state(self) -> Mapping[str, Tensor]:
        """Return what has been seen."""
        found = {
            "counts": torch.tensor([self._asked, self._alarm_at]),
            "statistic": torch.tensor([self._statistic], dtype=torch.float64),
            "order": torch.tensor(self._order, dtype=torch.int64),
        }
        for label, kept in self._kept.items():
            found[f"kept.{label}"] = kept.all().clone()
            found[f"distances.{label}"] = torch.tensor(self._distances[label], dtype=torch.float64)
            found[f"threshold.{label}"] = torch.tensor([self._thresholds[label]], dtype=torch.float64)
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the watch from a state."""
        self._asked, self._alarm_at = (int(number) for number in state["counts"])
        self._statistic = float(state["statistic"])
        self._order = state["order"].tolist()
        labels = [int(name.removeprefix("kept.")) for name in state if name.startswith("kept.")]
        self._kept = {label: _Rows(state[f"kept.{label}"], self._settings.kept) for label in labels}
        self._distances = {label: state[f"distances.{label}"].tolist() for label in labels}
        self._thresholds = {label: float(state[f"threshold.{label}"]) for label in labels}

    def _reduced(self, images: Tensor) -> Tensor:
        whole = images.float() / 255
        if self._settings.side is not None:
            whole = torch.nn.functional.adaptive_avg_pool2d(whole, self._settings.side)
        return whole.flatten(1)

    def _add(self, image: Tensor, label: int) -> None:
        if label not in self._kept:
            # Its distances begin with a 0 that counts, as in the code of the paper.
            self._kept[label] = _Rows(image[None], self._settings.kept)
            self._distances[label], self._thresholds[label] = [0.0], 0.0
            return
        kept, distances = self._kept[label], self._distances[label]
        distance = float((kept.all() - image).norm(dim=1).min())
        if distance > self._thresholds[label]:
            kept.add(image)
        distances.append(distance)
        self._order.append(label)
        if self._settings.window is not None and len(self._order) > self._settings.window:
            self._distances[self._order[0]].pop(1)
            self._order.pop(0)
        seen = torch.tensor(distances, dtype=torch.float64)
        spread = float(seen.mean() - seen.std(correction=0))
        self._thresholds[label] = max(self._thresholds[label], spread)

    def _judge(self) -> None:
        pooled = [value for values in self._distances.values() if len(values) >= _CLASS for value in values]
        values = torch.tensor(pooled, dtype=torch.float64)
        if len(values) <= _LEAST:
            return
        mean, deviation = values.mean(), values.std(correction=0)
        inner = values[(values - mean).abs() <= _DEVIATIONS * deviation]
        if len(inner) <= _LEAST:
            return
        self._statistic = _shapiro(inner)
        if self._alarm_at < 0 and self._statistic < self._settings.threshold:
            self._alarm_at = self._asked


def _shapiro(values: Tensor) -> float:
    """Compute W; values that are all equal are as far from normal as can be."""
    from scipy.stats import shapiro

    if float(values.max() - values.min()) == 0:
        return 0.0
    return float(shapiro(values.numpy()).statistic)
