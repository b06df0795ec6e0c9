"""How a model wants its images."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from edgerift.settings import Settings
from edgerift.specification._field import field
from edgerift.specification._normalisations import PerChannel, numbers
from edgerift.specification._prepare import Prepare
from edgerift.specification._quantization import Quantization

_DTYPES: Final = {
    "float32": torch.float32,
    "float16": torch.float16,
    "uint8": torch.uint8,
    "int8": torch.int8,
}

_Mean = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=3)]
_Std = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=3)]
_Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]


class InputSpecification(Settings):
    """How a model wants its images; by default as float32 `[N,3,H,W]` in `[0,1]`.

    `mean` and `std` normalise images in `[0,1]`, `(image - mean) / std`; a name of `NORMALISATIONS` stands for its
    numbers. `scale` and `offset` are for grey levels instead: `level * scale + offset` of levels from 0 to 255. Each
    has one number, or three in the order red, green, blue, whatever the order of the model's `channels`.

    An integer `dtype` is fed whole numbers: without `quantization` the grey levels for uint8, the grey levels less 128
    for int8; with it the normalised values, quantized. `channels` is what the model takes: a grey image is repeated for
    one in colour, and an image in colour is reduced to its luminance (ITU-R BT.601) for a grey one. `batch` is how many
    images the model takes at once where that is fixed, `name` the input where a file has several.

    Raises `RecipeError` for a value that is not allowed, or two that exclude each other.
    """

    name: str = field("")
    layout: Literal["nchw", "nhwc"] = field("nchw")
    dtype: Literal["float32", "float16", "uint8", "int8"] = field("float32")
    channels: Literal["rgb", "bgr", "grey"] = field("rgb")
    mean: _Mean | None = field(None)
    std: _Std | None = field(None)
    scale: _Numbers | None = field(None)
    offset: _Numbers | None = field(None)
    quantization: Quantization | None = field(None)
    batch: Annotated[int, Field(ge=1, le=65536)] | None = field(None)

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _named(cls, given: Any, info: Any) -> Any:
        return numbers(given, info.field_name)

    @field_validator("scale", "offset", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, int | float) and not isinstance(given, bool) else given

    @field_validator("scale")
    @classmethod
    def _not_zero(cls, given: PerChannel | None) -> PerChannel | None:
        if given is not None and 0 in given:
            raise ValueError("a scale is a number other than 0")
        return given

    @model_validator(mode="after")
    def _check(self) -> InputSpecification:
        ranges = {"mean": self.mean, "std": self.std, "scale": self.scale, "offset": self.offset}
        given = {name: values for name, values in ranges.items() if values is not None}
        first = next(iter(given), "")
        if first in ("mean", "std") and given.keys() & {"scale", "offset"}:
            raise ValueError("mean and std are for images in [0,1], scale and offset for grey levels; give one pair")
        for name, values in given.items():
            allowed = (1,) if self.channels == "grey" else (1, 3)
            if len(values) not in allowed:
                wanted = "one number, as the model's input is grey" if len(allowed) == 1 else "one number or three"
                raise ValueError(f"{name} has {len(values)} numbers; it takes {wanted}")
        if self.quantization is not None and not self.is_integer:
            raise ValueError(f"quantization is for dtype uint8 or int8, not {self.dtype}")
        if self.is_integer and given and self.quantization is None:
            raise ValueError(
                f"{first} is for numbers that are not whole, and dtype {self.dtype} takes grey levels; give "
                f"quantization too, or leave {first} out"
            )
        return self

    @property
    def is_integer(self) -> bool:
        """Whether the model is fed whole numbers."""
        return self.dtype in ("uint8", "int8")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The model's number type."""
        return _DTYPES[self.dtype]

    def prepare(self, images: Tensor) -> Tensor:
        """Turn float32 images `[N,C,H,W]` in `[0,1]`, C 1 or 3, into what the model takes, with their gradient.

        The numbers are float32 for every `dtype`: whole ones for an integer one, those of 16 bits for float16; `cast`
        gives them the type. The gradient goes straight through the rounding. The same images always give the same
        bits. Raises `ModelError` for images of another shape or type.
        """
        return cast(Tensor, self.layer().to(images.device)(images))

    def layer(self) -> Prepare:
        """Make what `prepare` does a layer, for those who prepare often."""
        return Prepare(self)

    def cast(self, prepared: Tensor) -> Tensor:
        """Give what `prepare` returned the model's number type, in an order of memory that every runtime takes."""
        return prepared.detach().to(self.torch_dtype).contiguous()
