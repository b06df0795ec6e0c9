"""Specifications in files: YAML, named by an option or beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.errors import RecipeError
from edgerift.settings import LARGEST_YAML, Document, is_file, read_yaml, settings_of
from edgerift.specification._specification import Specification

_EXAMPLE: Final = "for example `input: {layout: nhwc, mean: imagenet, std: imagenet}`"


def read_specification(path: Path) -> Specification:
    """Read a YAML file with the fields of `input` and `output`; raises `RecipeError` with the line of what is wrong."""
    document = Document(path, "specification", "give a YAML file", RecipeError, LARGEST_YAML)
    return settings_of(read_yaml(document, _EXAMPLE), Specification, document)


def sidecar(model: Path) -> Specification:
    """Read the specification beside a model's file, `net.onnx.yaml` of `net.onnx`; the default where there is none.

    Raises `RecipeError` as `read_specification` does.
    """
    beside = model.with_name(f"{model.name}.yaml")
    return read_specification(beside) if is_file(beside) else Specification()
