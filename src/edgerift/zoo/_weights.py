"""Classifiers from the weights of other people's training scripts and the name of their architecture."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from torch import Tensor, nn

from edgerift.errors import ModelError, ModelWarning
from edgerift.specification import Specification, SpecifiedModule
from edgerift.zoo._answered import answered
from edgerift.zoo._architecture import Architecture
from edgerift.zoo._architectures import is_small
from edgerift.zoo._checkpoint import Weights, read_weights
from edgerift.zoo._classifier import Classifier
from edgerift.zoo._create import from_architecture, is_users_own
from edgerift.zoo._files import require_finite

#: What wrappers put before the name of each weight: DataParallel, torch.compile, Lightning and other training loops.
_WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "net.", "network.")
#: Which number of a wrapper or of a layer a network can do without.
_COUNTERS: Final = ("n_averaged", "num_batches_tracked")


def load_weights(
    path: Path, model: str, *, specification: Specification | None = None, trust: bool = False, **fields: Any
) -> Classifier:
    """Make a classifier of an architecture's name and a file with its weights, in evaluation mode and on the CPU.

    `path` is a `.safetensors` file or what `torch.save` wrote of a `state_dict`, alone or in a checkpoint of a training
    script; wrappers' prefixes are left out, a moving average is preferred, and numbers of 16 or 64 bits become float32,
    each with a :class:`~edgerift.errors.ModelWarning`. No code from the file runs. `model` is a name as `create` takes
    it; a user's own factory is only called with `trust`. `fields` are further ones of :class:`Architecture`, such as
    `size`. The number of classes is that of the weights, and `specification` says what the network takes and answers.

    Raises `ModelError` for a file that holds no weights or is damaged, for weights that do not fit the architecture,
    hold NaN or infinity, and for a network whose answers are not one row of scores for each image.
    """
    if is_users_own(model) and not trust:
        raise ModelError(f"'{model}' is your own code; pass trust=True (--trust) if you know what it does")
    given = specification or Specification()
    weights = read_weights(Path(path))
    require_finite(weights.tensors, str(path))
    described = Architecture(name=model, classes=2, specification=given, **fields)
    found = _fitted(described, weights, path)
    found.body.load_state_dict(found.tensors, strict=False)
    found.body.eval()
    classes, given = answered(found.body, described, given)
    for note in found.notes:
        warnings.warn(f"{path}: {note}", ModelWarning, stacklevel=2)
    return Classifier(found.body, found.architecture.replace(classes=classes, specification=given)).eval()


class _Fitted(NamedTuple):
    """A network as large as its weights, their tensors under its names, and what was decided about them."""

    architecture: Architecture
    body: nn.Module
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def _fitted(described: Architecture, weights: Weights, path: Path) -> _Fitted:
    """Make the network with as many classes as the weights have, and with the stem that they fit."""
    misfits: list[str] = []
    for architecture in _stems(described):
        try:
            body = _body(architecture)
        except ModelError:
            if not misfits:
                raise
            break  # Some have no other stem.
        tensors, notes = _unwrapped(weights.tensors, body.state_dict())
        outputs = _outputs(architecture, body, tensors)
        if outputs is not None and outputs != architecture.outputs:
            classes = outputs - (architecture.outputs - architecture.classes)
            if classes < 2:
                raise ModelError(f"{path} has weights for {outputs} outputs; a classifier has 2 classes or more")
            architecture = architecture.replace(classes=classes)
            body = _body(architecture)
        misfit = "; ".join(_misfits(body.state_dict(), tensors))
        if not misfit:
            if architecture.stem != described.stem:
                notes = (*notes, f"the weights are those of the {architecture.stem} stem")
            return _Fitted(architecture, body, tensors, (*weights.notes, *notes))
        misfits.append(misfit)
    raise ModelError(f"{path} does not fit '{described.name}': {misfits[0]}")


def _stems(described: Architecture) -> tuple[Architecture, ...]:
    """List the architecture as it is described, and with its other stem where it has one."""
    if ":" in described.name or is_small(described.name):
        return (described,)
    other = "small" if described.stem == "imagenet" else "imagenet"
    return (described, described.replace(stem=other))


def _body(architecture: Architecture) -> nn.Module:
    body = from_architecture(architecture).body
    assert isinstance(body, SpecifiedModule)
    return body.module


def _outputs(architecture: Architecture, body: nn.Module, tensors: Mapping[str, Tensor]) -> int | None:
    """Read off the weights how many outputs they are for: the length of what changes with the number of classes."""
    more = _body(architecture.replace(classes=architecture.classes + 1)).state_dict()
    for name, tensor in body.state_dict().items():
        changed = [place for place, length in enumerate(tensor.shape) if more[name].shape[place] != length]
        if changed and name in tensors and tensors[name].dim() == tensor.dim():
            return int(tensors[name].shape[changed[0]])
    return None


def _unwrapped(given: dict[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Leave out what wrappers put before every name, as long as the architecture has no such names."""
    tensors = {name: tensor for name, tensor in given.items() if name not in _COUNTERS}
    removed: tuple[str, ...] = ()
    while not tensors.keys() & expected.keys():
        wrapper = next((prefix for prefix in _WRAPPERS if all(name.startswith(prefix) for name in tensors)), None)
        if wrapper is None or not tensors:
            break
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
        removed = (*removed, f"'{wrapper}' before the name of each weight is left out")
    return tensors, removed


def _misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    """Word what the weights lack, what they have too many of, and which have another shape."""
    missing = [name for name in expected if name not in given and not name.endswith(_COUNTERS)]
    surplus = [name for name in given if name not in expected]
    if missing:
        near = difflib.get_close_matches(missing[0], surplus, n=1)
        told = f" (it has '{near[0]}')" if near else ""
        yield f"{len(missing)} of {len(expected)} weights are missing, such as '{missing[0]}'{told}"
    if surplus:
        near = difflib.get_close_matches(surplus[0], missing, n=1)
        told = f" (the architecture has '{near[0]}')" if near and not missing else ""
        yield f"{len(surplus)} are unknown, such as '{surplus[0]}'{told}"
    for name, tensor in expected.items():
        if name in given and given[name].is_floating_point() != tensor.is_floating_point():
            yield f"'{name}' holds {given[name].dtype} and {tensor.dtype} in the architecture"
            return
        if name in given and given[name].shape != tensor.shape:
            yield f"'{name}' is {list(given[name].shape)} and {list(tensor.shape)} in the architecture"
            return
