"""What a build, its program or its recipe says of how it was quantized."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgerift.adapt import AdaptRecipe
from edgerift.deploy import Program, written_by
from edgerift.settings import Document
from edgerift.verify._quantizers import quantizer_of_method

#: Tools by what they write into a file; all of them round to the nearest, so that the claim only makes rules stricter.
_WRITERS: Final = {"onnx.quantize": "onnxruntime"}

#: What a program names whose roundings were chosen by a loss, :func:`edgerift.adapt.reround`.
_ROUNDING: Final = "rounding"


def claimed_quantizer(program: Program | None, recipe: AdaptRecipe | None, build: Path | None) -> str:
    """Name the quantizer by the recipe, else the program, else the file; "" where none of them says."""
    if recipe is not None:
        return quantizer_of_method(recipe.method)
    if program is not None:
        made = program.provenance
        chosen: Any = made.settings.get(_ROUNDING)
        if isinstance(chosen, Mapping):
            return "reround" if chosen.get("flip") else "adaround"
        return "" if made.method == "unknown" else quantizer_of_method(made.method)
    return "" if build is None else _WRITERS.get(written_by(build), "")


def claimed_training(program: Program | None) -> float | None:
    """The learning rate times the steps of a trained program; None where its provenance lacks one of them."""
    settings: Any = {} if program is None else program.provenance.settings
    train = settings.get("train") if isinstance(settings, Mapping) else None
    images = None if program is None else program.provenance.trained_on
    if not isinstance(train, Mapping) or images is None:
        return None
    rate, epochs, batch = (train.get(name) for name in ("learning_rate", "epochs", "batch_size"))
    if not (isinstance(rate, int | float) and isinstance(epochs, int) and isinstance(batch, int) and batch > 0):
        return None
    return rate * epochs * math.ceil(images / batch)


def stated_fingerprint(card: Path, runtime: str) -> dict[str, str]:
    """What a card says of the fingerprint of a runtime's build; empty where it says nothing.

    Raises :class:`~edgerift.errors.InputError` for a file that cannot be read.
    """
    found = Document(card, "card", "`edgerift card FOLDER` writes it again").json()
    stated = found.get("fingerprint") if isinstance(found, Mapping) else None
    entry = stated.get(runtime) if isinstance(stated, Mapping) else None
    if not isinstance(entry, Mapping):
        return {}
    return {str(name): value for name, value in entry.items() if isinstance(value, str)}


def program_digest(program: Program) -> str:
    """The SHA-256 over what a program computes: its operations and tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(program.tensors.items()):
        digest.update(f"{name}{list(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    for operation in program.operations:
        digest.update(operation.model_dump_json().encode())
    return digest.hexdigest()
