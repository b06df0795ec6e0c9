"""The options of pruning and distillation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from edgerift import adapt, images, zoo
from edgerift.cli._fields import Shown
from edgerift.cli._train import OriginalOptions
from edgerift.settings import Settings, Times


class CompressOptions(Settings):
    """How to prune or distil before quantization."""

    sparsity: Annotated[float, Shown(metavar="SHARE")] = 0.8
    """share of each layer's weights that prune sets to 0"""
    prune: Literal["weights", "channels"] = "weights"
    """prune single weights, or whole output channels of convolutions"""
    distil_to: Annotated[str | None, Shown(metavar="NAME", default="that of the original")] = None
    """architecture that distil trains"""
    temperature: float = 4.0
    """softmax temperature of distil"""
    hard_labels: Annotated[float, Shown(metavar="SHARE")] = 0.1
    """share of the labels in the loss of distil; the rest is the original's answers"""
    compress_epochs: Annotated[Times | None, Shown(default="3 for prune, those of an original for distil")] = None
    """epochs of pruning or distillation"""


def chosen_compression(
    name: str | None, options: CompressOptions, training: OriginalOptions, described: images.ImagesSettings
) -> adapt.Compression | None:
    """Turn the options into a compression for images of one size; None without a name."""
    if name is None:
        return None
    if name == "distil" and options.distil_to is not None:
        zoo.create(options.distil_to, 2, size=described.size or 32)  # Fails now rather than later.
    fields: dict[str, dict[str, Any]] = {
        "prune": {"sparsity": options.sparsity, "channels": options.prune == "channels"},
        "distil": {"student": options.distil_to, "temperature": options.temperature, "hard": options.hard_labels},
    }
    chosen = adapt.COMPRESSIONS[name].model_validate({"type": name, **fields[name]})
    train = chosen.train.replace(batch_size=training.further_batch_size, device=training.device, seed=training.seed)
    if chosen.starts_anew:
        student = options.distil_to or training.architecture
        train = train.replace(**training.of_student(student, described.source, options.temperature)._asdict())
    if options.compress_epochs is not None:
        train = train.replace(epochs=options.compress_epochs)
    return chosen.replace(train=train)
