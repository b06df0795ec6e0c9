"""Validation of a program from a file before any of it is computed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from edgerift.deploy.program._encoding import decode
from edgerift.deploy.program._operators import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    WEIGHTED,
    keyword_names,
    resolve,
)
from edgerift.errors import ProgramError, first_line, unknown_name

if TYPE_CHECKING:
    from edgerift.deploy.program._program import Operation, Program

#: The batch size for checking shapes: no layer may fix it.
_IMAGES: Final = 2
#: The maximum number of elements of a value per image, and of any size.
_MOST_ELEMENTS: Final = 2**28
_GRIDS: Final = frozenset({QUANTIZE, DEQUANTIZE, DEQUANTIZE_CHANNELS})
_LIMITS: Final = {
    str(kind).removeprefix("torch."): torch.iinfo(kind) for kind in (torch.int8, torch.uint8, torch.int32)
}
_DTYPES: Final = frozenset({torch.float32, torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool})


def check_program(program: Program) -> None:
    """Raise :class:`~edgerift.errors.ProgramError` for a program whose parts contradict each other.

    Looked at are the tensors (finite, of a type that programs have, used), the grids (scales that are positive, zero
    points and bounds inside their type) and, without computing a value, the types and shapes from the image to the
    scores, which have to be `classes` float32 numbers for each image of its shape.
    """
    _check_tensors(program)
    _check_arguments(program)
    _check_shapes(program)
    arguments = [[*operation.arguments, *operation.keywords.values()] for operation in program.operations]
    unused = program.tensors.keys() - set(_named(arguments, "tensor"))
    if unused:
        raise ProgramError(f"the program holds the tensor '{min(unused)}', which nothing uses; it is damaged")


def check_keywords(operation: Operation, known: Collection[str]) -> None:
    """Refuse keywords that the operator does not have: they would stand in the graph's code as they are."""
    for keyword in operation.keywords:
        if keyword not in known:
            raise ProgramError(
                f"{operation.operator} (node '{operation.name}') {unknown_name('keyword', keyword, known)}"
            )


def _check_tensors(program: Program) -> None:
    for name, tensor in program.tensors.items():
        if tensor.dtype not in _DTYPES:
            raise ProgramError(f"the program holds the tensor '{name}' as {_word(tensor.dtype)}; it is damaged")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ProgramError(f"the program's tensor '{name}' holds NaN or infinity; it is damaged")


def _check_arguments(program: Program) -> None:
    """Look at what every operation is given, as far as that stands in the file."""
    computed = {program.image}

    def stored(name: str) -> None:
        if name not in program.tensors:
            raise ProgramError(f"the program names a tensor {name[:80]!r} that it does not hold; it is damaged")

    def earlier(name: str) -> None:
        if name not in computed:
            raise ProgramError(f"the program uses {name[:80]!r} before it is computed; it is damaged")

    for operation in program.operations:
        for argument in (*operation.arguments, *operation.keywords.values()):
            decode(argument, earlier, stored)
        check_keywords(operation, keyword_names(resolve(operation.operator)))
        if operation.operator in _GRIDS:
            _check_grid(operation, program.tensors)
        computed.add(operation.name)
    earlier(program.output)


def _named(value: Any, kind: str) -> Iterator[str]:
    """List the references of a kind in arguments as they stand in the file."""
    if isinstance(value, dict) and kind in value:
        yield str(value[kind])
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, kind)


def _check_grid(operation: Operation, tensors: Mapping[str, Tensor]) -> None:
    """Look at what a quantize or a dequantize says of its grid."""
    function = resolve(operation.operator)
    names = [argument.name for argument in function._schema.arguments]  # type: ignore[attr-defined]
    given: dict[str, Any] = dict(zip(names, operation.arguments, strict=False)) | operation.keywords
    dtype: Any = given.get("dtype")
    low: Any = given.get("quant_min")
    high: Any = given.get("quant_max")
    limits = _LIMITS.get(str(dtype.get("dtype"))) if isinstance(dtype, dict) else None
    if limits is None or not (_is_whole(low) and _is_whole(high)) or not limits.min <= low < high <= limits.max:
        raise _senseless(operation, f"quantizes to {dtype!r:.40} from {low!r:.40} to {high!r:.40}")
    scales = _values(given.get("scale", given.get("scales")), tensors)
    if not scales or not all(0 < scale < math.inf for scale in scales):
        raise _senseless(operation, "has a scale that is not a positive number")
    points = _values(given.get("zero_point", given.get("zero_points")), tensors)
    if not points or not all(point == int(point) and low <= point <= high for point in points):
        raise _senseless(operation, f"has a zero point outside {low} to {high}")


def _values(given: Any, tensors: Mapping[str, Tensor]) -> list[float]:
    """The numbers of a scale or zero point: one that is written, or those of a tensor."""
    if isinstance(given, dict):
        tensor = tensors.get(str(given.get("tensor")))
        return [] if tensor is None else [float(value) for value in tensor.flatten().tolist()]
    return [float(given)] if _is_whole(given) or (isinstance(given, float) and math.isfinite(given)) else []


def _check_shapes(program: Program) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    channels, *extents = program.shape
    is_allowed = channels in (1, 3) and all(1 <= extent <= 4096 for extent in extents)
    if not (is_allowed and 2 <= program.classes <= 100_000):
        raise ProgramError(f"the program is for {program.classes} classes and images of {program.shape}; it is damaged")
    mode = FakeTensorMode()
    tensors = {name: mode.from_tensor(tensor) for name, tensor in program.tensors.items()}
    with mode, torch.no_grad():
        image = torch.empty(_IMAGES, *program.shape)
        values: dict[str, Any] = {program.image: image}
        for operation in program.operations:
            values[operation.name] = _outcome(operation, values, tensors)
        scores = values[program.output]
    if not isinstance(scores, Tensor) or scores.dtype != torch.float32:
        raise ProgramError(f"the program's output '{program.output}' is no tensor of float32; it is damaged")
    if tuple(scores.shape) != (_IMAGES, program.classes):
        raise ProgramError(
            f"the program's output has the shape {list(scores.shape)} for {_IMAGES} images, not "
            f"{[_IMAGES, program.classes]} as its classes say; it is damaged"
        )


def _outcome(operation: Operation, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """What an operation gives, by its types and shapes alone."""
    arguments = [decode(argument, values.__getitem__, tensors.__getitem__) for argument in operation.arguments]
    keywords = {
        key: decode(value, values.__getitem__, tensors.__getitem__) for key, value in operation.keywords.items()
    }
    if operation.operator.startswith("operator.") and not all(_is_plain(argument) for argument in arguments):
        raise _senseless(operation, f"takes {arguments!r:.80}")
    if operation.operator in WEIGHTED and not all(
        argument.dtype == torch.float32 for argument in arguments if isinstance(argument, Tensor)
    ):
        raise _senseless(operation, "multiplies what is not float32")
    function = resolve(operation.operator)
    try:
        outcome = function(*arguments, **keywords)
    except Exception as error:  # PyTorch raises errors of every kind for arguments that make no sense.
        raise _senseless(operation, f"cannot be computed: {first_line(error)[:200]}") from None
    if not _is_small(outcome):
        raise _senseless(operation, f"gives more than {_MOST_ELEMENTS:,} numbers for an image")
    return outcome


def _is_plain(argument: object) -> bool:
    """Return whether arithmetic on sizes may take an argument: numbers, and what items are taken from."""
    return _is_whole(argument) or isinstance(argument, Tensor | tuple | list | torch.Size)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**31


def _is_small(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() <= _IMAGES * _MOST_ELEMENTS
    if isinstance(value, tuple | list):
        return all(_is_small(item) for item in value)
    return _is_whole(value)


def _senseless(operation: Operation, told: str) -> ProgramError:
    return ProgramError(f"the program's '{operation.name}' {told}; it is damaged")


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
