"""One flipped bit of a stored weight, and what it does to the code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor

from edgerift.deploy import Program, weight_codes
from edgerift.errors import InputError, unknown_name
from edgerift.settings import Settings

#: The bits of an int8 code in two's complement; the last one weighs -128.
BITS: Final = 8


class Flip(Settings):
    """A bit of one weight: the layer, the place in its flattened codes, and the bit from 0 (1) to 7 (the sign).

    `before` and `after` are the code, `loss` is what the search measured after it.
    """

    layer: str
    place: Annotated[int, Field(ge=0)]
    bit: Annotated[int, Field(ge=0, lt=BITS)]
    before: int = 0
    after: int = 0
    loss: float = 0.0


def code_changes(codes: Tensor) -> Tensor:
    """List by how much each flip would change codes: float32 `[..., 8]` for int8 codes `[...]`.

    >>> code_changes(torch.tensor([0, -1], dtype=torch.int8)).tolist()[1][-2:]
    [-64.0, 128.0]
    """
    weights = 2 ** torch.arange(BITS)
    whole = codes.to(torch.int64)[..., None] & 0xFF
    is_set = (whole & weights) != 0
    signed = torch.where(torch.arange(BITS) == BITS - 1, -weights, weights)
    return torch.where(is_set, -signed, signed).float()


def flipped(program: Program, flips: Iterable[Flip]) -> Program:
    """Flip bits of a program's stored weights, one after the other: the same bit twice is the program itself.

    Scales, biases and everything else stay what they are. Raises :class:`~edgerift.errors.InputError` for a layer or a
    place that the program does not have.
    """
    changed: dict[str, Tensor] = {}
    known = weight_codes(program)
    for flip in flips:
        if flip.layer not in known:
            raise InputError(unknown_name("layer", flip.layer, known))
        codes = changed.setdefault(f"{flip.layer}.weight", known[flip.layer].clone())
        if flip.place >= codes.numel():
            raise InputError(f"layer '{flip.layer}' has {codes.numel()} weights, and a flip names number {flip.place}")
        row = codes.view(torch.uint8).view(-1)
        row[flip.place] ^= 1 << flip.bit
    return program.with_tensors(changed)


def random_flips(program: Program, count: int, seed: int) -> tuple[Flip, ...]:
    """Draw different bits of a program's weights, each as likely as any other; all of them where there are no more."""
    codes = weight_codes(program)
    sizes = torch.tensor([BITS * layer.numel() for layer in codes.values()])
    ends, whole = sizes.cumsum(0), int(sizes.sum())
    generator = torch.Generator().manual_seed(seed)
    drawn: dict[int, None] = {}
    while len(drawn) < min(count, whole):
        drawn.update(dict.fromkeys(torch.randint(whole, (count,), generator=generator).tolist()))
    names = list(codes)
    found = []
    for number in list(drawn)[:count]:
        layer = int(torch.searchsorted(ends, number, right=True))
        inside = number - int(ends[layer] - sizes[layer])
        found.append(Flip(layer=names[layer], place=inside // BITS, bit=inside % BITS))
    return tuple(found)
