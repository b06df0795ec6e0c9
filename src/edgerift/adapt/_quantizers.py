"""The two targets' quantizers: which operators run in integers, and on which kind of grid."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from torch import Tensor, fx

from edgerift.adapt._reductions import annotate_functions, annotate_means, annotate_reductions
from edgerift.adapt._targets import kind_of
from edgerift.deploy import WHOLE_WEIGHTS, Target, operator_name, quiet
from edgerift.errors import EdgeriftError, MissingRuntimeError, QuantizationError, first_line

#: The packages whose functions are passes.
_QUANTIZERS: Final = ("torchao.", "executorch.")
_MOST_NAMED: Final = 3


@contextmanager
def quantizer_passes(target: Target) -> Iterator[None]:
    """Run passes of torchao and of a target's quantizer, which match patterns in a model and may raise.

    Their errors, often without a message, become a :class:`~edgerift.errors.QuantizationError` that names the pass and
    the operators that it matched.
    """
    try:
        with quiet():
            yield
    except EdgeriftError:
        raise
    except Exception as error:
        told = first_line(error) if isinstance(error, RuntimeError) else _told(error)
        raise QuantizationError(
            f"the quantizer of target '{target}' refuses the model{_where(error)}: {told}; replace what it names by "
            "convolutions, linear layers, poolings and activations"
        ) from error


def _told(error: Exception) -> str:
    name, first = type(error).__name__, first_line(error)
    return name if first == name else f"{name}: {first}"


def _where(error: Exception) -> str:
    """Name the pass that raised, and the operators that it was matching."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    frames = [frame for frame in frames if str(frame.f_globals.get("__name__", "")).startswith(_QUANTIZERS)]
    if not frames:
        return ""
    held = [value for value in frames[-1].f_locals.values() if isinstance(value, fx.Node) and value.op != "output"]
    nodes = ", ".join(f"'{operator_name(node.target)}' (node '{node.name}')" for node in held[:_MOST_NAMED])
    return f" in its pass '{frames[-1].f_code.co_name}'" + (f", at {nodes}" if nodes else "")


def quantizer(target: Target, *, training: bool = False) -> Any:
    """Return the torchao quantizer of a target.

    `mobile`: ExecuTorch's XNNPACK quantizer, int8 symmetric per-channel weights in [-127, 127], int8 affine per-tensor
    activations; a clamp (ReLU6) after a convolution is one operation with it. `server`: torchao's X86 quantizer, int8
    per-channel weights, uint8 per-tensor activations. `fbgemm` is `server` with activations of 7 bits, [0, 127], and
    `qnnpack` is `mobile` with one scale for a whole weight; its weights are written per channel all the same, with
    equal scales. `training` picks the observers of torchao's own QAT. Raises
    :class:`~edgerift.errors.MissingRuntimeError` when the target's package is not installed.
    """
    with quiet():
        if kind_of(target) == "mobile":
            return _mobile(training, whole_weights=target in WHOLE_WEIGHTS)
        return _server(training, seven_bits=target == "fbgemm")


def _server(training: bool, *, seven_bits: bool) -> Any:
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    config = get_default_x86_inductor_quantization_config(is_qat=training, reduce_range=seven_bits)
    return _with_reductions(X86InductorQuantizer().set_global(config), config.input_activation, pointwise=False)


def _mobile(training: bool, *, whole_weights: bool) -> Any:
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
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=training)
    if whole_weights:
        config = replace(config, weight=replace(config.weight, observer_or_fake_quant_ctr=_whole_weights(training)))
    return _with_reductions(
        _with_fused_clamps(XNNPACKQuantizer().set_global(config)), config.input_activation, pointwise=True
    )


def _whole_weights(training: bool) -> Any:
    """Make the observers of weights that have one scale, the largest that a channel asks for."""
    from torchao.quantization.pt2e import FakeQuantize
    from torchao.quantization.pt2e.observer import MovingAveragePerChannelMinMaxObserver, PerChannelMinMaxObserver

    class WholeWeight(MovingAveragePerChannelMinMaxObserver if training else PerChannelMinMaxObserver):  # type: ignore[misc]
        def calculate_qparams(self) -> tuple[Tensor, Tensor]:
            scales, zero_points = super().calculate_qparams()
            return scales.amax().expand_as(scales).clone(), zero_points

    smallest = {"eps": 2**-12}
    return FakeQuantize.with_args(observer=WholeWeight, **smallest) if training else WholeWeight.with_args(**smallest)


def _with_reductions(base: Any, grid: Any, *, pointwise: bool) -> Any:
    """Wrap a quantizer to put what is summed, and what goes through smooth functions, on grids too."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class ReductionQuantizer(Quantizer):  # type: ignore[misc]
        def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
            transformed: fx.GraphModule = base.transform_for_annotation(model)
            return transformed

        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            annotate_reductions(model, grid)  # Before the quantizer, which leaves alone what has an annotation.
            annotated: fx.GraphModule = base.annotate(model)
            annotate_means(annotated, grid)
            if pointwise:
                annotate_functions(annotated, grid)
            return annotated

        def validate(self, model: fx.GraphModule) -> None:
            base.validate(model)

    return ReductionQuantizer()


def _with_fused_clamps(base: Any) -> Any:
    """Wrap the XNNPACK quantizer, which fuses a ReLU with what is before it, to do the same for ReLU6."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class FusedClampQuantizer(Quantizer):  # type: ignore[misc]
        def transform_for_annotation(self, model: fx.GraphModule) -> fx.GraphModule:
            transformed: fx.GraphModule = base.transform_for_annotation(model)
            return transformed

        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            base.SUPPORTED_PATTERNS = _patterns_for(model, type(base).SUPPORTED_PATTERNS)
            annotated: fx.GraphModule = base.annotate(model)
            for node in annotated.graph.nodes:
                _fuse_clamp(node)
            return annotated

        def validate(self, model: fx.GraphModule) -> None:
            base.validate(model)

    return FusedClampQuantizer()


def _patterns_for(model: fx.GraphModule, patterns: list[Any]) -> list[Any]:
    """Leave out the patterns with a batch normalization that the model cannot hold.

    The XNNPACK quantizer exports every such pattern again for each model, which takes longer than everything else.
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
