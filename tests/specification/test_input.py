"""How images are brought into the form that a model wants, against closed forms."""

import pytest
import torch

from edgerift.errors import ModelError, RecipeError
from edgerift.images import to_float
from edgerift.specification import InputSpecification
from edgerift.zoo import Normalise

#: Every grey level, in each channel in another order.
LEVELS = torch.stack([torch.arange(256), torch.arange(256).flip(0), (torch.arange(256) * 7) % 256]).to(torch.uint8)
IMAGES = to_float(LEVELS.reshape(1, 3, 16, 16))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def column(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, IMAGES),
        ({"mean": 0.5, "std": 0.25}, (IMAGES - 0.5) / 0.25),
        ({"mean": "imagenet", "std": "imagenet"}, (IMAGES - column(*IMAGENET[0])) / column(*IMAGENET[1])),
        ({"mean": (0.1, 0.2, 0.3)}, IMAGES - column(0.1, 0.2, 0.3)),
        ({"scale": 1}, LEVELS.reshape(1, 3, 16, 16).float()),
        ({"scale": 2, "offset": -1}, LEVELS.reshape(1, 3, 16, 16).float() * 2 - 1),
        ({"offset": (-103, -116, -123)}, LEVELS.reshape(1, 3, 16, 16).float() - column(103, 116, 123)),
        ({"channels": "bgr"}, IMAGES[:, [2, 1, 0]]),
        ({"layout": "nhwc"}, IMAGES.permute(0, 2, 3, 1)),
        ({"channels": "bgr", "layout": "nhwc", "mean": (0.1, 0.2, 0.3)}, None),
        ({"dtype": "uint8"}, LEVELS.reshape(1, 3, 16, 16).float()),
        ({"dtype": "int8"}, LEVELS.reshape(1, 3, 16, 16).float() - 128),
        ({"dtype": "float16"}, IMAGES.half().float()),
    ],
)
def test_images_are_prepared_as_the_fields_say(fields, expected):
    if expected is None:  # Numbers are those of red, green and blue, whatever order the model takes them in.
        expected = (IMAGES - column(0.1, 0.2, 0.3))[:, [2, 1, 0]].permute(0, 2, 3, 1)
    prepared = InputSpecification(**fields).prepare(IMAGES)
    assert prepared.dtype == torch.float32
    assert torch.equal(prepared, expected)


def test_the_normalisation_gives_the_bits_of_the_zoos():
    images = torch.rand(4, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        InputSpecification(mean="imagenet", std="imagenet").prepare(images), Normalise(*IMAGENET)(images)
    )


@pytest.mark.parametrize(
    ("quantization", "dtype", "expected"),
    [
        ({"scale": 1 / 255, "zero_point": -128}, "int8", lambda levels: levels - 128),
        ({"scale": 1 / 255}, "uint8", lambda levels: levels),
        # A coarser grid: two levels share a number, those that do not fit are cut off.
        ({"scale": 2 / 255, "zero_point": 100}, "int8", lambda levels: (levels / 2).round() + 100),
    ],
)
def test_quantized_images_lie_on_the_grid(quantization, dtype, expected):
    specification = InputSpecification(dtype=dtype, quantization=quantization)
    levels = LEVELS.reshape(1, 3, 16, 16).double()
    prepared = specification.prepare(IMAGES)
    assert torch.equal(prepared.double(), expected(levels).clamp(*((0, 255) if dtype == "uint8" else (-128, 127))))
    assert specification.cast(prepared).dtype == getattr(torch, dtype)
    assert torch.equal(specification.cast(prepared).double(), prepared.double())


@pytest.mark.parametrize(
    ("fields", "slope"),
    [
        ({"dtype": "uint8"}, 255),
        ({"dtype": "int8"}, 255),
        ({"dtype": "int8", "quantization": {"scale": 0.5, "zero_point": 3}}, 2),
        ({"dtype": "float16"}, 1),
        ({"std": 0.25}, 4),
        ({"scale": 3, "channels": "bgr", "layout": "nhwc"}, 765),
    ],
)
def test_the_gradient_goes_straight_through_the_rounding(fields, slope):
    images = (IMAGES * 0.9 + 0.001).requires_grad_()
    InputSpecification(**fields).prepare(images).sum().backward()
    assert images.grad.unique().tolist() == [slope]


def test_numbers_between_the_levels_are_rounded():
    images = torch.full((1, 1, 2, 2), 100.4 / 255)
    assert InputSpecification(dtype="uint8").prepare(images).unique().tolist() == [100]


def test_one_channel_becomes_three_and_three_become_one():
    grey = IMAGES[:, :1]
    assert torch.equal(InputSpecification().prepare(grey), grey.expand(-1, 3, -1, -1))
    assert torch.equal(InputSpecification(channels="grey").prepare(grey), grey)
    assert torch.equal(InputSpecification(channels="grey").prepare(grey.repeat(1, 3, 1, 1)), grey)
    luminance = (IMAGES.double() * column(0.299, 0.587, 0.114)).sum(1, keepdim=True)
    torch.testing.assert_close(
        InputSpecification(channels="grey").prepare(IMAGES).double(), luminance, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 4, 8, 8), torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(images):
    with pytest.raises(ModelError, match=r"needed: torch.float32 \[N,1,H,W\] or \[N,3,H,W\] in \[0,1\]"):
        InputSpecification().prepare(images)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"layout": "nhcw"}, "layout is 'nhcw'; it must be 'nchw' or 'nhwc'"),
        ({"mean": "imagnet"}, "unknown normalisation 'imagnet'; did you mean 'imagenet'?"),
        ({"mean": 123.7}, "must be less than or equal to 1"),
        ({"std": 0}, "must be greater than 0"),
        ({"scale": 0}, "a scale is a number other than 0"),
        ({"mean": 0.5, "offset": 1}, "scale and offset for grey levels; give one pair"),
        ({"mean": (0.5, 0.5)}, "mean has 2 numbers; it takes one number or three"),
        (
            {"mean": (0.5, 0.5, 0.5), "channels": "grey"},
            "mean has 3 numbers; it takes one number, as",
        ),
        ({"quantization": {"scale": 1}}, "quantization is for dtype uint8 or int8, not float32"),
        ({"dtype": "uint8", "std": 0.5}, "std is for numbers that are not whole"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_what_is_not_allowed_is_told_in_one_line(fields, told):
    with pytest.raises(RecipeError) as caught:
        InputSpecification(**fields)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
