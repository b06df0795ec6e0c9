"""What a network of a stranger answers: how many classes, and whether logits or probabilities."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn

from edgerift.errors import ModelError, RecipeError, users_code
from edgerift.images import extent
from edgerift.measure import are_probabilities, say_probabilities
from edgerift.specification import Specification, SpecifiedModule, spelled
from edgerift.zoo._architecture import Architecture

_ASKED: Final = 8


def answered(
    body: nn.Module, described: Architecture, given: Specification, whose: str = ""
) -> tuple[int, Specification]:
    """Query a network with random images: count the classes of its answers, and find out what they are."""
    whose = whose or f"'{described.name}'"
    images = torch.rand(_ASKED, 3, *extent(described.size), generator=torch.Generator().manual_seed(0))
    try:
        scores = _scores(body, given, images, whose)
    except ModelError as error:
        others = [other for other in _alternatives(given) if _is_taken(body, other, images, whose)]
        hint = f"; it answers {_option(others[0])}" if others else ""
        raise ModelError(f"{error}{hint}") from error
    if given.output.kind is None:
        soft = are_probabilities(scores)
        if soft:
            say_probabilities(whose)
        given = given.replace(output=given.output.replace(kind="probabilities" if soft else "logits"))
    return given.output.meant(scores).shape[1], given


def _option(given: Specification) -> str:
    # The name of a file's input is found in the file.
    said = spelled(given.replace(input=given.input.replace(name="")))
    return f"with --input {said}" if said else "without --input"


def _scores(body: nn.Module, given: Specification, images: Tensor, whose: str) -> Tensor:
    asked = SpecifiedModule(body, given, whose)
    fed = list(asked.prepare(images).shape)
    with torch.no_grad(), users_code(whose, f"with float32 {fed}; say what else it takes with --input"):
        scores = asked.scores(images)
    if len(scores) != len(images):
        raise ModelError(f"{whose} answers {len(images)} images with {list(scores.shape)}; needed: [N, classes]")
    return scores


def _alternatives(given: Specification) -> Iterator[Specification]:
    """List specifications with images of another shape, for the hint to a network that refuses those given."""
    for layout, channels in itertools.product(("nchw", "nhwc"), ("rgb", "grey")):
        with contextlib.suppress(RecipeError):
            yield given.replace(input=given.input.replace(layout=layout, channels=channels))


def _is_taken(body: nn.Module, given: Specification, images: Tensor, whose: str) -> bool:
    try:
        return bool(_scores(body, given, images, whose).isfinite().all())
    except ModelError:
        return False
