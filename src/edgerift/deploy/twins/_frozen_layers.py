"""Layers whose weights never learn: equal in value to the usual ones, with less memory behind their gradients.

Besides convolutions, allocation dominates the cost of an image gradient. So an activation is applied where its
input lies, nothing is kept that only the gradient of a weight would read, and a gradient that a layer has just made is
masked, scaled and added to in place. None of them can be differentiated twice.

The graph in which these layers stand makes sure that nothing else reads what they overwrite; see
:func:`edgerift.deploy.folded`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from edgerift.deploy.twins._integer_convolution import Geometry, input_gradient, is_its_own_transpose, mirrored
from edgerift.deploy.twins._straight_through import inside

Context = Any

#: From this many elements on, oneDNN convolves images of at most this many pixels 1.2 to 3 times as fast in contiguous
#: layout as in channels-last (measured with AVX-512: 3x3 kernels, 256 and 512 channels, 2x2 and 4x4 pixels).
_LARGE_WEIGHT: Final = 2**19
_FEW_PIXELS: Final = 4


class Bounds(NamedTuple):
    """What an activation clamps to: 0 and infinity for ReLU, 0 and 6 for ReLU6."""

    low: float
    high: float

    def clamp_in_place(self, value: Tensor) -> Tensor:
        """Clamp `value` where it lies."""
        if self == (0.0, float("inf")):
            return value.relu_()  # Half the time of a clamp.
        return value.clamp_(self.low, self.high)

    def mask(self, grad: Tensor, clamped: Tensor, *, in_place: bool) -> Tensor:
        """Keep `grad` where the clamped value lies between the bounds, both excluded."""
        return inside(grad, clamped, self.low, self.high, in_place=in_place)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, value: Tensor, layer: FrozenConvolution) -> Tensor:
        value = layer.prepared(value)
        ctx.layer = layer
        ctx.save_for_backward(value)
        return layer.convolve(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        return ctx.layer.input_gradient(grad, value), None


@final
class FrozenConvolution(nn.Module):
    """A convolution with a fixed weight, and what comes before it: a batch normalisation, then an activation, if any.

    With `bounds` but without `norm` it clamps its input in place, which may then have no other reader. The gradient by
    the input is a tensor of its own, which its receiver may write over.
    """

    weight: Tensor
    bias: Tensor | None
    contiguous: Tensor | None
    flipped: Tensor | None
    slope: Tensor | None
    narrow: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        bounds: Bounds | None = None,
        norm: nn.BatchNorm2d | None = None,
    ) -> None:
        """Keep the weight `[C_out,C_in/groups,H,W]` in every layout and order that a pass wants."""
        super().__init__()
        self.geometry = geometry
        self.bounds = bounds
        self.norm = norm
        dense = geometry.groups == 1 and weight.shape[2:].numel() > 1
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.register_buffer("contiguous", weight.contiguous() if dense and weight.numel() >= _LARGE_WEIGHT else None)
        self.register_buffer("flipped", self.weight.flip(2, 3) if is_its_own_transpose(weight, geometry) else None)
        special = (bounds, norm, self.contiguous, self.flipped)
        self.is_plain = all(part is None for part in special)  # Then PyTorch's own gradient has the least overhead.
        self.register_buffer("narrow", None)
        self.register_buffer("slope", None if norm is None else slope_of(norm).view(1, -1, 1, 1))

    def forward(self, value: Tensor) -> Tensor:
        """Normalise and clamp `value` `[N,C,H,W]` if asked to, then convolve it."""
        if self.is_plain:
            return self.geometry.convolve(value, self.weight, self.bias)
        if not torch.is_grad_enabled():  # The node of a gradient costs as much as a small convolution.
            return self.convolve(self.prepared(value))
        result: Tensor = _Convolve.apply(value, self)  # type: ignore[no-untyped-call]
        return result

    def prepared(self, value: Tensor) -> Tensor:
        """Apply what comes before the convolution."""
        if self.norm is not None:
            value = self.norm(value)
        if self.bounds is not None:
            value = self.bounds.clamp_in_place(value)
        return value.to(self.weight.dtype).contiguous(memory_format=torch.channels_last)

    def reduce(self, *, forward: bool) -> None:
        """Take the gradient in bfloat16 from now on, and with `forward` convolve in it too, whatever the input's type.

        Both layouts are equally fast then.
        """
        self.narrow = self.weight.to(torch.bfloat16)
        self.is_plain = False
        if forward:
            self.weight = self.narrow
            self.bias = None if self.bias is None else self.bias.to(torch.bfloat16)
            self.contiguous = None

    def convolve(self, value: Tensor) -> Tensor:
        """Convolve a prepared value, in the faster layout."""
        if self._is_better_contiguous(value, self.geometry.stride[0]):
            result = self.geometry.convolve(value.contiguous(), self.contiguous, self.bias)  # type: ignore[arg-type]
            return result.contiguous(memory_format=torch.channels_last)
        return self.geometry.convolve(value, self.weight, self.bias)

    def input_gradient(self, grad: Tensor, value: Tensor) -> Tensor:
        """The gradient by the layer's input, given the prepared value: new memory."""
        gradient = self._transposed(grad, value)
        if self.bounds is not None:
            gradient = self.bounds.mask(gradient, value, in_place=True)
        return gradient if self.slope is None else gradient.mul_(self.slope)

    def _transposed(self, grad: Tensor, value: Tensor) -> Tensor:
        stride, padding, dilation, groups = self.geometry
        if self.flipped is not None:
            return mirrored(self.geometry, self.flipped).convolve(grad, self.flipped, None)
        if self.narrow is not None:
            return input_gradient(grad.to(self.narrow.dtype), value.shape, self.narrow, self.geometry).to(value.dtype)
        weight = self.weight
        if self._is_better_contiguous(value, 1):
            grad, value, weight = grad.contiguous(), value.contiguous(), self.contiguous  # type: ignore[assignment]
        (gradient, _, _) = torch.ops.aten.convolution_backward.default(
            grad, value, weight, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )
        result: Tensor = gradient
        return result.contiguous(memory_format=torch.channels_last)

    def _is_better_contiguous(self, value: Tensor, stride: int) -> bool:
        return self.contiguous is not None and not value.is_cuda and max(value.shape[2:]) <= _FEW_PIXELS * stride


def slope_of(norm: nn.BatchNorm2d) -> Tensor:
    """The factor `[C]` that a batch normalisation with fixed figures multiplies by: `weight / sqrt(var + eps)`."""
    assert norm.running_var is not None
    inverse = torch.rsqrt(norm.running_var + norm.eps)
    return inverse if norm.weight is None else norm.weight.detach() * inverse


class _Fork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, value: Tensor, bounds: Bounds | None, fresh: tuple[bool, ...]) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.settings = bounds, fresh
        if bounds is not None:
            value = bounds.clamp_in_place(value)
            ctx.save_for_backward(value)
        return tuple(value.detach() for _ in fresh)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, *grads: Tensor | None) -> tuple[Tensor | None, None, None]:
        bounds, fresh = ctx.settings
        total, own = None, False
        for is_fresh, grad in sorted(zip(fresh, grads, strict=True), key=lambda pair: not pair[0]):
            if total is None or grad is None:
                total, own = (grad, is_fresh) if total is None else (total, own)
            else:
                total, own = (total.add_(grad) if own else total + grad), True
        if total is not None and bounds is not None:
            total = bounds.mask(total, *ctx.saved_tensors, in_place=own)
        return total, None, None


@final
class Fork(nn.Module):
    """An activation in place, if any, for several readers: gives each the same values, and adds their gradients.

    `fresh` says for each reader whether its gradient is a tensor of its own, which the sum may be written over.
    """

    def __init__(self, bounds: Bounds | None, fresh: tuple[bool, ...]) -> None:
        """Remember the activation and the readers."""
        super().__init__()
        self.bounds = bounds
        self.fresh = fresh

    def forward(self, value: Tensor) -> tuple[Tensor, ...]:
        """Clamp `value` in place if asked to; one tensor for each reader, all on the same memory."""
        if not torch.is_grad_enabled():
            return (value if self.bounds is None else self.bounds.clamp_in_place(value),) * len(self.fresh)
        result: tuple[Tensor, ...] = _Fork.apply(value, self.bounds, self.fresh)  # type: ignore[no-untyped-call]
        return result


def add_into(first: Tensor, second: Tensor) -> Tensor:
    """Add, writing over `first` where the sum has its shape and type."""
    fits = isinstance(second, Tensor) and (first.shape, first.dtype) == (second.shape, second.dtype)
    return first.add_(second) if fits else first + second
