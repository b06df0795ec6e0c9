"""The options of operators, as far as a translation looks at them."""

from __future__ import annotations

from typing import Any, Final

from edgerift.deploy.twins.tflite._flatbuffer import Walk

_FUSED: Final = ("FusedActivationFunction",)
_CONVOLUTION: Final = ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", *_FUSED)
_RESIZING: Final = ("AlignCorners", "HalfPixelCenters")

#: The fields of each kind of options; those in brackets are vectors.
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "Conv2DOptions": _CONVOLUTION,
    "DepthwiseConv2DOptions": (*_CONVOLUTION, "DepthMultiplier"),
    "Pool2DOptions": ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", *_FUSED),
    "FullyConnectedOptions": (*_FUSED, "WeightsFormat", "KeepNumDims"),
    "SoftmaxOptions": ("Beta",),
    "ConcatenationOptions": ("Axis", *_FUSED),
    "AddOptions": _FUSED,
    "SubOptions": _FUSED,
    "MulOptions": _FUSED,
    "DivOptions": _FUSED,
    "ReducerOptions": ("KeepDims",),
    "ReshapeOptions": ("[NewShape]",),
    "SqueezeOptions": ("[SqueezeDims]",),
    "LeakyReluOptions": ("Alpha",),
    "StridedSliceOptions": ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    "ResizeBilinearOptions": _RESIZING,
    "ResizeNearestNeighborOptions": _RESIZING,
    "MirrorPadOptions": ("Mode",),
    "PackOptions": ("Axis", "ValuesCount"),
    "GeluOptions": ("Approximate",),
    "BatchMatMulOptions": ("AdjX", "AdjY"),
}


def read_options(schema: Any, operator: Any, walk: Walk) -> dict[str, Any]:
    """Read an operator's options by the names of the schema; none of a kind that no translation looks at."""
    kind = int(operator.BuiltinOptionsType())
    union = operator.BuiltinOptions()
    name = next((name for name in _FIELDS if getattr(schema.BuiltinOptions, name) == kind), None)
    if union is None or name is None:
        return {}
    table = getattr(schema, name)()
    table.Init(union.Bytes, union.Pos)
    return {
        field.strip("[]"): walk.numbers(table, field.strip("[]")) if field.startswith("[") else getattr(table, field)()
        for field in _FIELDS[name]
    }
