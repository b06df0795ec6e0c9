"""Originals on disk: safetensors with the architecture in the metadata, so that a file holds no code."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from edgerift.errors import ModelError, RecipeError
from edgerift.settings import Settings, is_file
from edgerift.steps import read_tensors, write_whole
from edgerift.zoo._architecture import Architecture
from edgerift.zoo._classifier import Classifier
from edgerift.zoo._create import from_architecture, is_users_own
from edgerift.zoo._file_networks import open_network
from edgerift.zoo._learned import Learned

FORMAT = "edgerift-original-1"
_SUFFIX = ".safetensors"
#: What other programs say of the tensors that they write, if anything.
_FOREIGN = ("pt", "np", "tf", "flax", "mlx")
#: The tensor of the bytes of a file that the network came as.
_CONTENT = "edgerift:file"


def save(model: Classifier, path: Path) -> None:
    """Write a classifier's weights, architecture and training facts to one safetensors file, atomically.

    The same weights give the same bytes. Raises `ModelError` when a weight is NaN or infinite.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    require_finite(tensors, f"model '{model.architecture.name}'")
    if model.content is not None:
        tensors[_CONTENT] = torch.frombuffer(bytearray(model.content), dtype=torch.uint8)
    metadata = {"architecture": _canonical(model.architecture), "format": FORMAT}
    if model.learned is not None:
        metadata["learned"] = _canonical(model.learned)
    write_whole(Path(path), _sorted_header(safetensors.torch.save(tensors, metadata)))


def load(path: Path, *, trust: bool = False) -> Classifier:
    """Read a classifier that `save` wrote, in evaluation mode and on the CPU.

    No code from the file runs. An architecture `module:factory` imports that module from this machine, which is only
    done with `trust=True`.

    Raises `ModelError` when the file is missing, cut short or not an original, when its tensors do not fit
    its architecture, or when one of them holds NaN or infinity.
    """
    path = Path(path)
    if not is_original(path):
        raise ModelError(
            f"{path} is no original that edgerift wrote; for weights of others name their architecture: --model NAME, "
            "or zoo.load_weights in Python"
        )
    architecture, learned, tensors = _read(path)
    if is_users_own(architecture.name) and not trust:
        raise ModelError(
            f"{path} asks to import and run '{architecture.name}'; pass trust=True (--trust) if you know that code"
        )
    _require_rows(architecture, tensors, path)
    content = tensors.pop(_CONTENT, None)
    if content is None:
        skeleton = from_architecture(architecture.model_copy(update={"pretrained": False}))
        model = Classifier(skeleton.body, architecture, takes_logarithms=skeleton.takes_logarithms)
    else:
        model = _of_file(architecture, content, path, trust)
    _require_fit(model.state_dict(), tensors, path)
    require_finite(tensors, str(path))
    model.load_state_dict(tensors)
    model.learned = learned
    return model.eval()


def _of_file(architecture: Architecture, content: Tensor, path: Path, trust: bool) -> Classifier:
    """Make the network of an original that came as a file of its own."""
    if content.dtype != torch.uint8 or content.dim() != 1 or architecture.specification is None:
        raise ModelError(f"{path} holds no file of a network where one should be; it is damaged")
    held = content.numpy().tobytes()
    output = architecture.specification.output.name
    network = open_network(architecture.name, held, str(path), output=output, trust=trust)
    model = Classifier(network.module, architecture)
    model.content = held
    return model


def is_original(path: Path) -> bool:
    """Return whether a file is an original of edgerift, be it damaged; True also where there is no file.

    False for weights that others wrote, which `load_weights` reads.
    """
    if not is_file(path):
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format", _FOREIGN[0]) not in _FOREIGN
    except Exception:  # The library raises errors of every kind for what is none of its files.
        return path.suffix.lower() == _SUFFIX


def _read(path: Path) -> tuple[Architecture, Learned | None, dict[str, Tensor]]:
    if not is_file(path):
        raise ModelError(f"no model file at {path}; give the path of a .safetensors file that edgerift wrote")
    metadata, tensors = read_tensors(
        path, lambda reason: ModelError(f"{path} is not a whole safetensors file ({reason}); write it again")
    )
    if metadata.get("format", _FOREIGN[0]) in _FOREIGN and tensors:
        raise ModelError(
            f"{path} holds weights without their architecture; name it: --model NAME, or zoo.load_weights in Python"
        )
    if metadata.get("format") != FORMAT or "architecture" not in metadata:
        raise ModelError(
            f"{path} has format {metadata.get('format', '')[:40]!r}, expected '{FORMAT}'; write it with zoo.save"
        )
    try:
        architecture = Architecture.model_validate_json(metadata["architecture"])
        # Files of earlier versions do not record what they learned.
        learned = Learned.model_validate_json(metadata["learned"]) if "learned" in metadata else None
    except RecipeError as error:
        raise ModelError(f"{path} holds a description that is not allowed: {error}") from error
    if learned is not None and len(learned.classes) != architecture.classes:
        raise ModelError(
            f"{path} names {len(learned.classes)} classes and answers {architecture.classes}; write it with zoo.save"
        )
    return architecture, learned, tensors


def _require_rows(architecture: Architecture, tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse a class count that matches the rows of no tensor, before a network of that size is made."""
    if is_users_own(architecture.name) or _CONTENT in tensors:
        return
    if all(tensor.dim() == 0 or len(tensor) != architecture.outputs for tensor in tensors.values()):
        raise ModelError(f"{path} has no tensor of {architecture.outputs} rows, one for each class; it is damaged")


def _require_fit(expected: dict[str, Tensor], given: dict[str, Tensor], path: Path) -> None:
    for word, missing in (
        ("lacks", expected.keys() - given.keys()),
        ("has unknown", given.keys() - expected.keys()),
    ):
        if missing:
            raise ModelError(f"{path} {word} tensor '{min(missing)}' ({len(missing)} in all) for its architecture")
    for name, tensor in expected.items():
        wanted, found = (tuple(tensor.shape), tensor.dtype), (tuple(given[name].shape), given[name].dtype)
        if wanted != found:
            raise ModelError(f"{path} holds tensor '{name}' as {found}, its architecture has {wanted}")


def require_finite(tensors: dict[str, Tensor], owner: str) -> None:
    """Raise `ModelError` where a tensor holds NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"tensor '{name}' of {owner} holds NaN or infinity; train the model again")


def _canonical(described: Settings) -> str:
    return json.dumps(described.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def _sorted_header(data: bytes) -> bytes:
    # The library writes the metadata in an arbitrary order, but the same model has to give the same bytes. The format:
    # eight bytes of header length, the header as JSON padded with spaces to a multiple of eight, the tensors.
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
