"""Weights out of other people's files: `.safetensors`, and what `torch.save` wrote, read without running code."""

from __future__ import annotations

import pickle
import warnings
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
    Document(path, "weights", _ADVICE, ModelError, LARGEST_MODEL).require_regular()
    content = _safetensors(path) if path.suffix.lower() == _SAFETENSORS else _saved(path)
    found, notes = _located(content, path)
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    # Modules may keep other things beside their tensors, as `_extra_state`; a network's weights are more than that.
    if not tensors:
        raise ModelError(f"{path} holds no weights by name; {_ALONE}")
    small = sorted({str(value.dtype).removeprefix("torch.") for value in tensors.values() if _is_small(value)})
    if small:
        notes = (*notes, f"the weights in {' and '.join(small)} are converted to float32")
    return Weights({name: _float32(value) for name, value in tensors.items()}, notes)


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    return read_tensors(
        path, lambda reason: ModelError(f"{path} is not a whole safetensors file ({reason}); write it again")
    ).tensors


def _saved(path: Path) -> Any:
    with path.open("rb") as file:
        if not file.read(2).startswith(_BEGINNINGS):
            raise ModelError(f"{path} is no file of PyTorch; {_ADVICE}")
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


def _located(content: Any, path: Path) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    """Find the mapping of weights in what a training script saved."""
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}; {_ALONE}")
    for place in (*_AVERAGES, *_PLACES):
        inner = content.get(place)
        if isinstance(inner, Mapping) and inner:
            found, notes = _located(inner, path)
            kept = [other for other in _PLACES if place in _AVERAGES and isinstance(content.get(other), Mapping)]
            beside = f", not those under '{kept[0]}'" if kept else ""
            average = ", the moving average of the weights" if place in _AVERAGES else ""
            return found, (f"the weights under '{place}' are used{average}{beside}", *notes)
    return content, ()


def _is_small(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize


def _float32(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
