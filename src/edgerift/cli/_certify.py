"""`edgerift certify`: prove for which images no evasive image exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field
from rich.table import Table

from edgerift import certify, evade, images, measure, steps
from edgerift.cli._adapted import find_adapted
from edgerift.cli._build_options import BUILD_FILES, RUNTIME_NAMES, KernelsOption, runtime_of
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import DataOptions, Json, Words, number_list
from edgerift.cli._terminal import progress_bars, show
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError
from edgerift.measure import Interval
from edgerift.settings import Count, Seed, Settings, is_folder

_EPSILONS = (0.0, 1.0, 2.0, 4.0, 8.0)


class CertifiedShare(Settings):
    """The certified share of the images at one epsilon, with a guard that abstains below a threshold."""

    epsilon: int
    threshold: float
    certified: Interval


class Certified(Settings):
    """What `edgerift certify` proved; `aligned` and `levels` are those of :class:`~edgerift.certify.Certificate`."""

    type: Literal["certified"] = "certified"
    version: Literal[1] = 1
    data: str
    runtime: str
    images: int
    aligned: bool
    levels: int
    shares: tuple[CertifiedShare, ...]


class CertifyCommand(Command):
    """Prove for test images that no image near them evades.

    Bounds both networks and their difference from layer to layer. A certified image is proved: within epsilon, wherever
    the original is right, the build is right or abstains. The share falls fast with epsilon and depth.
    """

    example: ClassVar[str] = "edgerift certify adapted --data digits --epsilon 1 --threshold 0 0.5"

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """a folder that `edgerift adapt --out` wrote"""
    build: Annotated[
        Path | None,
        Shown(group="model", metavar="FILE", default="that of FOLDER", text=f"deployed {BUILD_FILES} file"),
    ] = None
    runtime: Annotated[
        RuntimeName | None,
        Shown(
            group="model",
            metavar="NAME",
            default="that of FOLDER's build",
            text=f"runtime of the build: {RUNTIME_NAMES}",
        ),
    ] = None
    kernels: KernelsOption = None
    trust: Annotated[bool, Shown(group="model")] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    count: Annotated[Count | None, Shown(group="data", default="all")] = None
    """number of test images, from the first"""
    seed: Annotated[Seed | None, Shown(group="data", default="that of FOLDER/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""
    epsilon: Annotated[
        Words,
        tyro.conf.arg(metavar="LEVELS ..."),
        Shown(group="proof", metavar="LEVELS ...", default="0 1 2 4 8"),
    ] = ()
    """largest changes of a pixel, in whole grey levels"""
    threshold: Annotated[
        Words,
        tyro.conf.arg(metavar="GAP ..."),
        Shown(group="proof", metavar="GAP ...", default="that of the build's guard"),
    ] = ()
    """gaps of the two best scores below which the build abstains"""
    rounding_levels: Annotated[int | None, Field(ge=0, le=255), Shown(group="proof", advanced=True, metavar="N")] = None
    """levels by which the runtime may round differently; 0 where its kernels are known, otherwise 1"""
    as_json: Json = False

    def run(self) -> int:
        """Prove, and show the shares."""
        epsilons = number_list("--epsilon", self.epsilon) or _EPSILONS
        thresholds = number_list("--threshold", self.threshold)
        wrong = [epsilon for epsilon in epsilons if not (epsilon.is_integer() and epsilon <= 255)]
        if wrong:
            raise InputError(f"--epsilon is {wrong[0]:g}; allowed are whole grey levels from 0 to 255")
        with progress_bars() as progress:
            pair, test = self._opened(progress)
            found = [
                certify.certify(pair, test, epsilon=int(epsilon), levels=self.rounding_levels, progress=progress)
                for epsilon in epsilons
            ]
        own = 0.0 if pair.guard is None else pair.guard.threshold
        if not len(found[0]):
            raise InputError(f"original and build agree on no label of the {len(test)} images; check --data")
        result = Certified(
            data=test.name,
            runtime=pair.build.runtime,
            images=len(found[0]),
            aligned=found[0].aligned,
            levels=found[0].levels,
            shares=tuple(_shares(found, thresholds or (own,))),
        )
        show(result, _table(result), self.as_json)
        return 0

    def _opened(self, progress: steps.Progress) -> tuple[evade.Pair, images.ImageSet]:
        if not is_folder(self.folder):
            raise InputError(f"no folder {self.folder}; give one that `edgerift adapt --out` wrote")
        found = find_adapted(
            self.folder / "program.safetensors",
            self.data,
            self.seed,
            runtime=runtime_of(self.runtime, self.kernels, self.build),
            trust=self.trust,
            build=self.build,
        )
        pair, _ = found.pair.open(self.data.open_store(), progress)
        test = images.open_splits(found.images).test
        return pair, test if self.count is None else test.select(range(min(self.count, len(test))))


def _shares(found: list[certify.Certificate], thresholds: tuple[float, ...]) -> Iterator[CertifiedShare]:
    for one in found:
        for threshold in thresholds:
            share = measure.interval(one.rate(threshold))
            yield CertifiedShare(epsilon=one.epsilon, threshold=threshold, certified=share)


def _table(result: Certified) -> Table:
    title = f"certified of {result.images} images of {result.data} that both label correctly, {result.runtime}"
    caption = "" if result.aligned else "original and program differ in their operators: bounded one by one"
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in ("epsilon", "threshold", "certified", "95 % interval"):
        table.add_column(name, justify="right")
    for share in result.shares:
        part = share.certified
        limits = f"{100 * part.low:.1f} to {100 * part.high:.1f} %"
        table.add_row(str(share.epsilon), f"{share.threshold:g}", f"{100 * part.value:.1f} %", limits)
    return table
