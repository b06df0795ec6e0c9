"""The options that say what a model's file takes and answers, and the original that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgerift import adapt, deploy, images, measure, specification, zoo
from edgerift._lazy import later
from edgerift.cli._fields import Shown
from edgerift.errors import InputError, ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgerift.cli._train import OriginalOptions
else:
    torch = later("torch")

#: How the help shows what a model's file takes and answers.
INPUT: Final = Shown(
    group="model",
    metavar="SPEC",
    default="FILE.yaml",
    details="A YAML file, or FIELD=VALUE,... with layout, dtype, channels, mean, std, scale, offset, quantization, "
    "batch, kind, background, index",
)
BUILD_INPUT: Final = Shown(group="model", advanced=True, metavar="SPEC", default="FILE.yaml", details="As --input")
_YAML: Final = (".yaml", ".yml")
#: Enough labelled images to tell specifications apart.
_ASKED: Final = 200


def chosen_specification(given: str | None, model: Path) -> specification.Specification:
    """Read what an option says of a model's file: a YAML file or fields in one line; else the file beside it."""
    return parsed_specification(given) or specification.sidecar(model)


def parsed_specification(given: str | None) -> specification.Specification | None:
    """Read what an option says of a model: a YAML file or fields in one line; None where it is not given."""
    if given is None:
        return None
    if given.lower().endswith(_YAML):
        return specification.read_specification(Path(given))
    return specification.parse_specification(given)


def described_original(
    path: Path,
    training: OriginalOptions,
    described: images.ImagesSettings,
    trust: bool,
) -> adapt.GivenOriginal:
    """Describe an original: edgerift's own, a network of a file or a library, or weights of the `--model` named."""
    chosen = zoo.file_kind(path) or (str(path) if zoo.library_of(str(path)) else None)
    if chosen is None and zoo.is_original(path):
        if training.input is not None:
            raise InputError(f"--input is for weights of others; {path} is edgerift's own and says what it takes")
        return adapt.given_original(path, trust=trust)
    model = chosen or training.model
    if model is None:
        raise ModelError(
            f"{path} holds weights without their architecture; name it with --model: a name, torchvision:NAME, "
            "timm:NAME, module:factory or file.py:factory"
        )
    return adapt.given_original(
        path,
        trust=trust,
        model=model,
        size=described.size,
        stem=None if chosen else training.stem,
        specification=chosen_specification(training.input, path),
    )


def require_understood(model: zoo.Classifier, described: images.ImagesSettings) -> None:
    """Raise `ModelError` where an original knows its images by another specification only, with that one."""
    found = adapt.misread(model, images.open_splits(described).validation)
    if found is not None:
        raise ModelError(f"'{model.architecture.name}' hardly knows these images, but {found}; give it with --input")


def require_build_understood(build: deploy.OpenedBuild, described: images.ImagesSettings) -> None:
    """Raise as :func:`require_understood` for a build, and what it raises for images that it does not take."""
    held = images.open_splits(described).validation
    asked = held.select(torch.linspace(0, len(held) - 1, min(len(held), _ASKED)).long())

    def ask(by: specification.Specification) -> Tensor:
        return build.read_as(by).predict(asked.images)

    reached = measure.accuracy(ask(build.specification), asked.labels)
    counts = torch.bincount(asked.labels, minlength=len(asked.classes))
    if not measure.is_near_chance(reached, measure.Rate(int(counts.max()), len(asked)), len(counts)):
        return
    found = specification.explain(ask, asked.labels, build.specification)
    if found is not None:
        raise ModelError(f"{build.path.name} hardly knows these images, but {found}; give it with --build-input")
