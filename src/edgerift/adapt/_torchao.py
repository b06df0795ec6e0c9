"""torchao's own quantization-aware training, the reference that the training of the twin is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from edgerift import zoo
from edgerift.adapt._convert import layer_names, tensor_names
from edgerift.adapt._export import export
from edgerift.adapt._final_softmax import leave_out_final_softmax
from edgerift.adapt._methods import require_fit, trainable_copy, weights_digest
from edgerift.adapt._quantizers import quantizer, quantizer_passes
from edgerift.adapt._settings import QatSettings
from edgerift.deploy import Program, Provenance, Target, from_graph, quiet
from edgerift.images import ImageSet
from edgerift.steps import Progress, silent
from edgerift.train import run


def torchao_qat_model(original: nn.Module, example: Tensor, *, target: Target) -> fx.GraphModule:
    """Prepare a copy of an original for torchao's QAT, with fake quantization and live batch normalisation.

    `example` is float32 `[N,C,H,W]` in `[0,1]`. `train()` and `eval()` work on the result.
    """
    with quiet():
        from torchao.quantization.pt2e import allow_exported_model_train_eval
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

        graph = export(trainable_copy(original), example, target, training=True)
        leave_out_final_softmax(graph)
        graph.recompile()
    with quantizer_passes(target):
        prepared: fx.GraphModule = prepare_qat_pt2e(graph, quantizer(target, training=True))
        allow_exported_model_train_eval(prepared)
    return prepared


def torchao_qat(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    *,
    target: Target = "mobile",
    settings: QatSettings | None = None,
    progress: Progress = silent,
) -> Program:
    """Do what `qat` does with torchao's `prepare_qat_pt2e`: the reference, slower and without resume.

    `settings.calibration` is not used: torchao's observers start empty.
    """
    chosen = settings or QatSettings()
    require_fit(original, train, target)
    shape = train.shape._replace(channels=zoo.channels_of(original, train.shape))
    prepared = torchao_qat_model(original, torch.zeros(2, *shape), target=target)
    layers = layer_names(prepared)
    with quiet():
        from torchao.quantization.pt2e import disable_observer
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        def freeze(model: nn.Module, epoch: int) -> None:
            if epoch >= chosen.observe_epochs:
                model.apply(disable_observer)

        prepared.image_channels = shape.channels  # type: ignore[assignment]
        run(prepared, train, validation, chosen.train, on_epoch=freeze, progress=progress, task="torchao qat")
    with quantizer_passes(target):
        converted = convert_pt2e(prepared)
    return from_graph(
        converted,
        target=target,
        classes=len(train.classes),
        shape=shape,
        provenance=Provenance(
            method="torchao-qat",
            settings=chosen.model_dump(mode="json"),
            original=weights_digest(original),
            classes=train.classes,
            trained_on=len(train),
        ),
        names=tensor_names(converted, layers),
    )
