"""Weights out of other people's files: `.safetensors`, and what `torch.save` wrote, read without running code."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from edgerift.errors import ModelError, first_line
from edgerift.settings import LARGEST_MODEL, Document
from edgerift.steps import read_tensors

_SAFETENSORS: Final = ".safetensors"
_ADVICE: Final = "give a .safetensors file, or a .pt or .pth file of a state_dict"
#: Weights may be shared by several names, but not by many.
_MOST_SHARED: Final = 8
_DEEPEST: Final = 8
#: Of an archive, and of the pickles of PyTorch before 1.6.
_BEGINNINGS: Final = (b"PK", b"\x80")
_ALONE: Final = "torch.save(model.state_dict(), 'weights.pt') saves the weights alone"

#: Where training scripts keep a moving average of the weights, and where the weights, in the order of preference.
_AVERAGES: Final = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema")
_PLACES: Final = ("state_dict", "model_state_dict", "model", "network", "net", "module", "weights", "params")


class Weights(NamedTuple):
    """The tensors of a file by name, in float32 where they are floating point, and what was decided about them."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def read_weights(path: Path) -> Weights:
    """Read the weights of a file; raises `ModelError` where it is missing, cut short, or holds anything else."""
    size = Document(path, "weights", _ADVICE, ModelError, LARGEST_MODEL).require_regular()
    content = _safetensors(path) if path.suffix.lower() == _SAFETENSORS else _saved(path)
    found, notes = _located(content, path)
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    # Modules may keep other things beside their tensors, as `_extra_state`; a network's weights are more than that.
    if not tensors:
        raise ModelError(f"{path} holds no weights by name; {_ALONE}")
    _require_plain(tensors, path, size)
    small = sorted({str(value.dtype).removeprefix("torch.") for value in tensors.values() if _is_small(value)})
    if small:
        notes = (*notes, f"the weights in {' and '.join(small)} are converted to float32")
    return Weights({name: _float32(value) for name, value in tensors.items()}, notes)


def _require_plain(tensors: Mapping[str, Tensor], path: Path, size: int) -> None:
    """Refuse tensors that are no plain rows of numbers, or that would be far larger in memory than their file."""
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_complex() or tensor.device.type != "cpu":
            raise ModelError(f"'{name}' of {path} is a tensor of another kind than weights are; {_ALONE}")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > _MOST_SHARED * size:
        raise ModelError(f"the weights of {path} are far larger than the file; {_ALONE}")


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    return read_tensors(
        path, lambda reason: ModelError(f"{path} is not a whole safetensors file ({reason}); write it again")
    ).tensors


def _saved(path: Path) -> Any:
    with path.open("rb") as file:
        if not file.read(2).startswith(_BEGINNINGS):
            raise ModelError(f"{path} is no file of PyTorch; {_ADVICE}")
    if _is_compressed(path):
        raise ModelError(f"{path} is a compressed archive, which PyTorch does not write; {_ALONE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        told = str(error)
        if "weights_only" in told or "Unsupported" in told or "GLOBAL" in told:
            raise ModelError(
                f"{path} holds more than weights, such as a whole model, and opening it could run code; {_ALONE}"
            ) from None
        raise ModelError(f"{path} is not a whole file of PyTorch ({first_line(error)}); write it again") from None
    except Exception as error:  # PyTorch's reader raises errors of every kind for content that makes no sense.
        if "TorchScript" in str(error):
            raise ModelError(f"{path} is a TorchScript archive, which is a program; {_ALONE}") from None
        raise ModelError(f"{path} is not a whole file of PyTorch ({first_line(error)}); write it again") from None


def _is_compressed(path: Path) -> bool:
    """Return whether an archive would unpack to more than its own size; a damaged one is refused by its reader."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _located(content: Any, path: Path) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    """Find the mapping of weights in what a training script saved."""
    notes: tuple[str, ...] = ()
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            raise ModelError(f"{path} holds a {type(content).__name__}; {_ALONE}")
        places = [place for place in (*_AVERAGES, *_PLACES) if isinstance(content.get(place), Mapping)]
        if not places:
            return content, notes
        place = places[0]
        beside = [other for other in places if other not in _AVERAGES] if place in _AVERAGES else []
        average = ", the moving average of the weights" if place in _AVERAGES else ""
        instead = f", not those under '{beside[0]}'" if beside else ""
        notes = (*notes, f"the weights under '{place}' are used{average}{instead}")
        content = content[place]
    raise ModelError(f"{path} holds its weights too deep inside other things; {_ALONE}")


def _is_small(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize


def _float32(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
