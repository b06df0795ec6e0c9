"""Images brought into the form that a model wants: one order of float32 operations for every use."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from edgerift.errors import ModelError

if TYPE_CHECKING:
    from edgerift.specification._input import InputSpecification

#: The shares of red and blue in grey (ITU-R BT.601); green has the rest.
_RED, _BLUE = 0.299, 0.114


@final
class Prepare(nn.Module):
    """A first layer that does what `InputSpecification.prepare` describes; its numbers are buffers."""

    mean: Tensor | None
    std: Tensor | None
    scale: Tensor | None
    offset: Tensor | None

    def __init__(self, specification: InputSpecification) -> None:
        """Keep the numbers of a specification, `[1,C,1,1]`."""
        super().__init__()
        given = specification
        # A scale of one changes nothing, and an operation less is one less to quantize.
        scale = None if given.scale == (1.0,) else given.scale
        for name, values in (("mean", given.mean), ("std", given.std), ("scale", scale), ("offset", given.offset)):
            column = None if values is None else torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
            self.register_buffer(name, column)
        self.channels, self.layout, self.dtype = given.channels, given.layout, given.dtype
        self.takes_levels = given.scale is not None or given.offset is not None
        self.step = None if given.quantization is None else given.quantization.scale
        self.zero_point = 0 if given.quantization is None else given.quantization.zero_point

    def forward(self, images: Tensor) -> Tensor:
        """Prepare float32 images `[N,C,H,W]` in `[0,1]`, C 1 or 3."""
        if images.ndim != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.float32:
            raise ModelError(
                f"images are {images.dtype} {list(images.shape)}; needed: torch.float32 [N,1,H,W] or [N,3,H,W] in [0,1]"
            )
        prepared = self._quantized(self._normalised(self._coloured(images)))
        if self.channels == "bgr":
            # Slices, since quantizers have no operator that turns an axis round.
            prepared = torch.cat([prepared[:, 2:3], prepared[:, 1:2], prepared[:, 0:1]], 1)
        return prepared if self.layout == "nchw" else prepared.permute(0, 2, 3, 1)

    def _coloured(self, images: Tensor) -> Tensor:
        """Bring images to the number of the model's channels."""
        if self.channels == "grey":
            if images.shape[1] == 1:
                return images
            red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
            # Written so that three equal channels give exactly themselves.
            return green + _RED * (red - green) + _BLUE * (blue - green)
        return images if images.shape[1] == 3 else images.repeat(1, 3, 1, 1)

    def _normalised(self, images: Tensor) -> Tensor:
        if not self.takes_levels:
            # A subtraction and a division, as in the zoo's own normalisation: quantizers leave these in float.
            shifted = images if self.mean is None else images - self.mean
            return shifted if self.std is None else shifted / self.std
        # A grey level is exact: 255 times the float32 of k / 255 is k.
        levels = images * 255
        scaled = levels if self.scale is None else levels * self.scale
        return scaled if self.offset is None else scaled + self.offset

    def _quantized(self, values: Tensor) -> Tensor:
        if self.dtype == "float16":
            return _straight_through(values.half().float(), values)
        if self.dtype == "float32":
            return values
        low, high = (0, 255) if self.dtype == "uint8" else (-128, 127)
        numbers = values * 255 + low if self.step is None else values / self.step + self.zero_point
        return _straight_through(numbers.round(), numbers).clamp(low, high)


def _straight_through(rounded: Tensor, exact: Tensor) -> Tensor:
    """Give `rounded`, with the gradient of `exact`."""
    return rounded.detach() + (exact - exact.detach())
