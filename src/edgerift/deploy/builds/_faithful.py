"""Whether a build reproduces its program: compared on images before its file is written, with the first deviation.

The threshold is the rule of :func:`~edgerift.deploy.leaves_program`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from edgerift.deploy.builds._departure import departure, leaves_program
from edgerift.deploy.program._grid import is_dequantize
from edgerift.deploy.program._operators import DEQUANTIZE_CHANNELS, WEIGHTED
from edgerift.deploy.program._program import Operation, Program
from edgerift.deploy.program._spelling import read_program
from edgerift.deploy.twins._twin import twin
from edgerift.errors import BuildError

Answer = Callable[[Program], Tensor]
"""Build a program for the examined runtime and answer the compared images."""

#: The maximum number of pixels compared, whatever the channels.
_PIXELS: Final = 64 * 64 * 64
_LEAST_IMAGES: Final = 4


def images_to_compare(program: Program, given: Tensor | None) -> Tensor:
    """Take the first of the given images uint8 `[N,C,H,W]`; without any, generate patches of noisy random colours."""
    channels, height, width = program.shape
    count = max(_LEAST_IMAGES, min(64, _PIXELS // (height * width)))
    if given is not None and len(given):
        return given[:count]
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    patches = F.interpolate(coarse, size=(height, width), mode="nearest")
    noise = torch.rand(count, channels, height, width, generator=generator)
    return ((0.7 * patches + 0.3 * noise) * 255).round().to(torch.uint8)


def require_faithful(program: Program, answer: Answer, answers: Tensor, images: Tensor, arithmetic: str) -> None:
    """Raise :class:`~edgerift.errors.BuildError`, with the first wrong layer, for answers unlike the program's.

    `answer` builds a part of the program, which is done only when the answers are wrong.
    """

    def is_wrong(part: Program) -> bool:
        try:
            return leaves_program(departure(part, answer(part), images, twin(part, arithmetic)))
        except BuildError:
            return False  # The whole program can be built, so this is inconclusive.

    near = departure(program, answers, images, twin(program, arithmetic))
    if leaves_program(near):
        raise BuildError(
            f"the build's answers deviate from its program's: {near.label_disagreement:.0%} of labels differ on "
            f"{len(images)} images, scores by {near.rms:.3g} standard deviations where rounding explains "
            f"{near.explained:.3g}; it begins at {first_wrong(program, is_wrong)}: write that part of the model "
            "differently, or choose another runtime"
        )


def first_wrong(program: Program, is_wrong: Callable[[Program], bool]) -> str:
    """Name an operation whose rounded result is wrong although the rounded values that it reads are correct.

    `is_wrong` tests a program that ends in a rounded value of this one, which is itself wrong. The operations are
    bisected until a wrong result follows a correct one; if the wrong one reads another wrong one, the search continues
    from that.
    """
    nodes = {node.name: node for node in read_program(program).graph.nodes}
    known: dict[str, bool] = {program.output: True}

    def wrong(name: str) -> bool:
        if name not in known:
            known[name] = is_wrong(replace(program, output=name))
        return known[name]

    culprit = program.output
    while True:
        ending = [name for name, node in nodes.items() if _is_before(node, nodes[culprit])] + [culprit]
        low, high = -1, len(ending) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if wrong(ending[middle]) else (middle, high)
        culprit = ending[high]
        earlier = next((node.name for node in _rounded_inputs(nodes[culprit]) if wrong(node.name)), None)
        if earlier is None:
            return _described(program, nodes[culprit])
        culprit = earlier


def _is_before(node: fx.Node, culprit: fx.Node) -> bool:
    """Return whether a node rounds a computed value and comes before another one."""
    return is_dequantize(node) and node.all_input_nodes[0].op != "get_attr" and node < culprit


def _rounded_inputs(node: fx.Node) -> list[fx.Node]:
    """The rounded values that the operations behind a rounded value start from."""
    return [source for source in _behind(node) if is_dequantize(source) and source.all_input_nodes[0].op != "get_attr"]


def _behind(node: fx.Node) -> Iterator[fx.Node]:
    """Walk back from a node to the rounded values it starts from, which are included."""
    waiting = list(node.all_input_nodes)
    while waiting:
        source = waiting.pop()
        yield source
        if not is_dequantize(source):
            waiting += source.all_input_nodes


def _described(program: Program, node: fx.Node) -> str:
    """Name the operations between a rounded value and those before it, by their layer where they have a weight."""
    names = {source.name for source in _behind(node)} | {node.name}
    found = [operation for operation in program.operations if operation.name in names]
    layers = [_layer_of(program, operation) for operation in found if operation.operator in WEIGHTED]
    plain = [
        f"'{operation.name}' ({' '.join([operation.operator, *_words(operation)])})"
        for operation in found
        if "quantize" not in operation.operator and operation.operator not in WEIGHTED
    ]
    return ", ".join([*layers, *plain]) or f"'{node.name}'"


def _words(operation: Operation) -> list[str]:
    """An operation's arguments other than numbers and tensors, such as a kind of padding."""
    named = [f"{keyword}={value}" for keyword, value in operation.keywords.items() if not isinstance(value, dict)]
    return [value for value in operation.arguments if isinstance(value, str)] + named


def _layer_of(program: Program, operation: Operation) -> str:
    weight: Any = operation.arguments[1]
    for other in program.operations:
        if other.operator == DEQUANTIZE_CHANNELS and weight == {"node": other.name}:
            stored: Any = other.arguments[0]
            return f"layer '{str(stored['tensor']).removesuffix('.weight')}' ({operation.operator})"
    return f"'{operation.name}' ({operation.operator})"
