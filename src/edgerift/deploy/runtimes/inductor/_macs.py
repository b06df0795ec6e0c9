"""How much of an Inductor package runs in integer kernels, read off the C++ that the package holds."""

from __future__ import annotations

import json
import re
import zipfile
from math import prod
from pathlib import Path
from typing import Final, final

from edgerift.errors import BuildError
from edgerift.images import ImageShape

#: Where compiling writes how many multiply-accumulates one image takes, integer or not.
TOTAL_MACS: Final = "edgerift_macs"
#: Where it writes the shape of the images that the code is for.
IMAGE_SHAPE: Final = "edgerift_image"

_NOTES: Final = "wrapper_metadata.json"
_CONSTANT = re.compile(r"constants_info_\[(\d+)\]\.(dtype|shape) = (.*?);")
_CONSTANT_NAME = re.compile(r"auto& (\w+) = constants_->at\((\d+)\);")
_LENGTHS = re.compile(r"int64_t (int_array_\d+)\[\] = \{(.*?)\};")
_EMPTY = re.compile(r"aoti_torch_empty_strided\w*\(\d+, (int_array_\d+), .*&(\w+?)_handle\)")
_VIEW = re.compile(r"auto (\w+) = \w*\(?reinterpret_tensor_wrapper\(\w+, \d+, (int_array_\d+),")
_INLINE_VIEW = re.compile(r"\w*\(?reinterpret_tensor_wrapper\(\w+, \d+, (int_array_\d+),")
_MOVED = re.compile(r"auto (\w+) = std::move\((\w+)\);")
_SAME = re.compile(r"aoti_torch_new_tensor_handle\((\w+), &(\w+)\)")
_READ = re.compile(r"(?:RAIIAtenTensorHandle\()?(\w+)")
_CHECKED = re.compile(r"assert_size_stride\((\w+), \{(.*?)\},")
_INTEGER_CALL = re.compile(r"aoti_torch_cpu_\w*?_(q(?:conv|linear)\w*)\((.*), &(\w+?)_handle\)")
_SPATIAL = re.compile(r"std::array<int64_t, \d+>\{(.*?)\}")


def integer_share(path: Path) -> float:
    """The share of a package's multiply-accumulates that run in integer kernels, in [0, 1].

    The package holds the C++ that was compiled into it. Its calls of oneDNN's int8 convolutions and linear layers
    (`qconv`, `qlinear`) on int8 weights are followed through and their work for one image is summed; whatever else
    computes, in float kernels of a library or in generated loops, counts as float: the sum is divided by the work of
    the whole program, which compiling wrote into the package. Raises :class:`~edgerift.errors.BuildError` when the
    file is not a package that edgerift made.
    """
    sources, total = _contents(path)
    if total == 0:
        raise BuildError(f"{path} holds no convolution and no matrix product, so it has no share of integer kernels")
    return sum(integer_macs(source) for source in sources) / total


def image_shape(path: Path) -> ImageShape | None:
    """Read the shape of the images that a package is for; None for one of an earlier version, or of others."""
    try:
        with zipfile.ZipFile(path) as package:
            notes = [json.loads(package.read(name)) for name in package.namelist() if name.endswith(_NOTES)]
        written = next(str(note[IMAGE_SHAPE]) for note in notes if IMAGE_SHAPE in note)
        return ImageShape(*map(int, written.split("x")))
    except (zipfile.BadZipFile, OSError, ValueError, TypeError, StopIteration):
        return None


def integer_macs(source: str) -> int:
    """Sum the multiply-accumulates of one image in the int8 kernels that a generated C++ wrapper calls.

    Raises :class:`~edgerift.errors.BuildError` when a call's sizes cannot be followed.
    """
    reader = _Wrapper(source)
    return sum(reader.follow(line) for line in source.splitlines())


def _contents(path: Path) -> tuple[list[str], int]:
    try:
        with zipfile.ZipFile(path) as package:
            names = package.namelist()
            sources = [package.read(name).decode() for name in names if name.endswith(".wrapper.cpp")]
            notes = [json.loads(package.read(name)) for name in names if name.endswith(_NOTES)]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BuildError(f"{path} is not a readable .pt2 package ({error})") from None
    totals = [int(note[TOTAL_MACS]) for note in notes if TOTAL_MACS in note]
    if not sources or not totals:
        raise BuildError(f"{path} is not a package that edgerift compiled; build it again")
    return sources, totals[0]


@final
class _Wrapper:
    """The sizes of tensors in a generated wrapper, known line by line; the batch counts as one image."""

    def __init__(self, source: str) -> None:
        entries: dict[int, dict[str, str]] = {}
        for index, field, value in _CONSTANT.findall(source):
            entries.setdefault(int(index), {})[field] = value
        self.weights: dict[str, list[int]] = {}
        for name, index in _CONSTANT_NAME.findall(source):
            entry = entries.get(int(index), {})
            if entry.get("dtype", "").endswith("_int8"):
                self.weights[name] = _lengths(entry["shape"])
        self.arrays: dict[str, list[int]] = {}
        self.sizes: dict[str, list[int]] = {}

    def follow(self, line: str) -> int:
        """Learn what a line says about sizes; return the multiply-accumulates of the int8 kernel that it calls."""
        if found := _LENGTHS.search(line):
            self.arrays[found[1]] = _lengths(found[2])
        elif found := _INTEGER_CALL.search(line):
            return self._call(found[1], found[2], found[3])
        elif found := _EMPTY.search(line):
            self.sizes[found[2]] = self.arrays[found[1]]
        elif found := _VIEW.search(line):
            self.sizes[found[1]] = self.arrays[found[2]]
        elif found := _CHECKED.search(line):
            self.sizes[found[1]] = _lengths(found[2])
        elif (found := _MOVED.search(line)) and found[2] in self.sizes:
            self.sizes[found[1]] = self.sizes[found[2]]
        elif (found := _SAME.search(line)) and found[1] in self.sizes:
            self.sizes[found[2]] = self.sizes[found[1]]
        return 0

    def _call(self, kernel: str, arguments: str, result: str) -> int:
        weight = next((self.weights[name] for name in re.findall(r"\w+", arguments) if name in self.weights), None)
        view = _INLINE_VIEW.match(arguments)
        read = _READ.match(arguments)
        source = self.arrays.get(view[1]) if view else self.sizes.get(read[1]) if read else None
        if weight is None or source is None:
            raise BuildError(
                f"the share of integer kernels is not known: the sizes of '{kernel}' cannot be followed in the code "
                "that PyTorch generated; choose another runtime for this network, or report it"
            )
        if kernel.startswith("qlinear"):
            self.sizes[result] = [*source[:-1], weight[-1]]
            return prod(source[:-1]) * prod(weight)
        stride, padding, dilation = (_lengths(group) for group in _SPATIAL.findall(arguments)[:3])
        area = [
            (length + 2 * pad - step * (extent - 1) - 1) // stride_ + 1
            for length, extent, stride_, pad, step in zip(
                source[2:], weight[-len(stride) :], stride, padding, dilation, strict=True
            )
        ]
        # A packed weight of a grouped convolution may have its groups as one more dimension in front.
        channels = prod(weight[: len(weight) - len(stride) - 1])
        self.sizes[result] = [source[0], channels, *area]
        return prod(area) * prod(weight)


def _lengths(text: str) -> list[int]:
    """Read `{s34, 64L, 8L*s34}`; a symbol is the batch, of which one image is counted."""
    items = [item.strip() for item in text.strip("{} ").split(",")]
    return [prod(int(factor) for factor in re.findall(r"\b(\d+)L?\b", item)) for item in items if item]
