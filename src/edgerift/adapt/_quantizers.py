"""The two targets' quantizers: which operators run in integers, and on which kind of grid."""

from __future__ import annotations

from typing import Any

from torch import fx

from edgerift.deploy import Target, quiet
from edgerift.errors import MissingRuntimeError


def quantizer(target: Target, *, training: bool = False) -> Any:
    """Return the torchao quantizer of a target.

    `mobile`: ExecuTorch's XNNPACK quantizer, int8 symmetric per-channel weights in [-127, 127], int8 affine per-tensor
    activations; a clamp (ReLU6) after a convolution is one operation with it. `server`: torchao's X86 quantizer, int8
    per-channel weights, uint8 per-tensor activations. `training` picks the observers of torchao's own QAT. Raises
    :class:`~edgerift.errors.MissingRuntimeError` when the target's package is not installed.
    """
    with quiet():
        return _mobile(training) if target == "mobile" else _server(training)


def _server(training: bool) -> Any:
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    return X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config(is_qat=training))


def _mobile(training: bool) -> Any:
    try:
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
    except ImportError:
        raise MissingRuntimeError(
            "target 'mobile' takes its quantizer from ExecuTorch, which is not installed: "
            "pip install 'edgerift[executorch]'"
        ) from None
    base = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_qat=training))
    return _with_fused_clamps(base)


def _with_fused_clamps(base: Any) -> Any:
    """Wrap the XNNPACK quantizer, which fuses a ReLU with what is before it, to do the same for ReLU6."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class FusedClampQuantizer(Quantizer):  # type: ignore[misc]
        def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
            return base.transform_for_annotation(model)  # type: ignore[no-any-return]

        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            base.SUPPORTED_PATTERNS = _patterns_for(model, type(base).SUPPORTED_PATTERNS)
            annotated = base.annotate(model)
            for node in annotated.graph.nodes:
                _fuse_clamp(node)
            return annotated  # type: ignore[no-any-return]

        def validate(self, model: fx.GraphModule) -> None:
            base.validate(model)

    return FusedClampQuantizer()


def _patterns_for(model: fx.GraphModule, patterns: list[Any]) -> list[Any]:
    """Leave out the patterns with a batch normalization that the model cannot hold.

    The XNNPACK quantizer exports every such pattern anew for each model, which takes longer than all the rest.
    """
    found = {node.target for node in model.graph.nodes if node.op == "call_function"}
    normalized = any("batch_norm" in str(target) for target in found)
    return [
        pattern
        for pattern in patterns
        if "_bn" not in pattern.name or (normalized and not found.isdisjoint(pattern.op_overloads))
    ]


def _fuse_clamp(node: fx.Node) -> None:
    """Move the annotation of an operator's output behind the clamp that follows it."""
    import torch
    from torchao.quantization.pt2e.quantizer.quantizer import (
        Q_ANNOTATION_KEY,
        QuantizationAnnotation,
    )

    fusable = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default, torch.ops.aten.add.Tensor)
    if node.op != "call_function" or node.target is not torch.ops.aten.hardtanh.default:
        return
    source: Any = node.args[0]
    annotation = source.meta.get(Q_ANNOTATION_KEY)
    if source.target not in fusable or len(source.users) > 1 or annotation is None:
        return
    if annotation.output_qspec is None:
        return
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(output_qspec=annotation.output_qspec, _annotated=True)
    annotation.output_qspec = None
