"""What a build's file is, whoever made it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from edgerift.deploy.builds._build import open_build
from edgerift.deploy.builds._fidelity import fidelity
from edgerift.deploy.builds._opened import OpenedBuild
from edgerift.deploy.builds._own_twin import own_twin, why_no_twin
from edgerift.deploy.builds._runtime import Fingerprint
from edgerift.errors import EdgeriftError
from edgerift.settings import Settings
from edgerift.specification import Specification

#: Enough answers to tell an exact twin from a near one, few enough for images of any size.
_IMAGES: Final = 16


class Inspection(Settings):
    """What a build's file is.

    `specification` is how it wants its images and what it answers, as far as the file says so or was told. `extents`
    are those of its input behind the batch, None where one is free. `operators` counts what the runtime computes, which
    is not always what the file says. `integer_macs` is the share of multiply-accumulates in integer kernels, in [0, 1];
    None where it cannot be read, and `unread` says why. `dynamic` says that an answer depends on its batch, as where
    grids are chosen as the model runs, so that images are answered one at a time. `no_twin` says why the file itself
    gives no twin; it is empty where it gives one. `equal_logits` is the share of logits, in [0, 1], that such a twin
    and the build answer alike to random images, and `largest_difference` how far apart they are at most; None without a
    twin, and where the file does not tell the size of its images.
    """

    type: Literal["inspection"] = "inspection"
    version: Literal[1] = 1
    file: str
    bytes: int
    runtime: str
    fingerprint: Fingerprint
    specification: Specification
    extents: tuple[int | None, ...] | None
    operators: dict[str, int]
    integer_macs: float | None
    unread: str = ""
    dynamic: bool
    no_twin: str
    equal_logits: float | None = None
    largest_difference: float | None = None


def inspect_build(
    path: Path | str,
    runtime: str | None = None,
    *,
    trust: bool = False,
    specification: Specification | None = None,
) -> Inspection:
    """Say what a build's file is; arguments and errors are those of :func:`open_build`."""
    build = open_build(path, runtime, trust=trust, specification=specification)
    share, unread = _share(build)
    no_twin = why_no_twin(build)
    images = None if no_twin else _random_images(build)
    near = None if images is None else fidelity(None, build, images)
    step = 1.0 if near is None else own_twin(build).step or 1.0
    return Inspection(
        file=build.path.name,
        bytes=build.path.stat().st_size,
        runtime=build.runtime,
        fingerprint=build.fingerprint(),
        specification=build.specification,
        extents=build.extents,
        operators=build.operators(),
        integer_macs=share,
        unread=unread,
        dynamic=build.answers_alone,
        no_twin=no_twin,
        equal_logits=None if near is None else near.equal_logits,
        largest_difference=None if near is None else near.max_lsb * step,
    )


def _random_images(build: OpenedBuild) -> Tensor | None:
    """Draw images of the shape that a build takes, uint8; None where its file does not tell."""
    extents, wanted = build.extents, build.specification.input
    if extents is None or None in extents:
        return None
    height, width = extents[1:] if wanted.layout == "nchw" else extents[:2]
    channels = 1 if wanted.channels == "grey" else 3
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (_IMAGES, channels, height or 0, width or 0), generator=generator, dtype=torch.uint8)


def _share(build: OpenedBuild) -> tuple[float | None, str]:
    try:
        return build.integer_macs(), ""
    except EdgeriftError as error:
        return None, str(error)
