"""Images of several shapes through the whole chain: training, both targets, builds, attacks, theft."""

from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from edgerift import Oracle, Pair, adapt, train, zoo
from edgerift.deploy import Build, Program, build, fidelity, open_build, quiet, twin, twin_scores
from edgerift.errors import EdgeriftError, ModelError, RecipeError
from edgerift.evade import Attack, png_bytes, presets, random_search, read_png, search
from edgerift.extract import data_free, knockoff
from edgerift.images import ImageSet, ImageShape, collages, shape_of

#: The images, and the channels that the network takes.
CASES = {
    "28x28 grey": (ImageShape(1, 28, 28), 3),
    "28x28 grey, a network of one channel": (ImageShape(1, 28, 28), 1),
    "24x40 in colour": (ImageShape(3, 24, 40), 3),
    "20x34 grey": (ImageShape(1, 20, 34), 1),
}
RUNTIMES = {"mobile": ("executorch", ".pte"), "server": ("onnxruntime", ".onnx")}


class Made(NamedTuple):
    """An original, its images, and a program for each target."""

    original: zoo.Classifier
    images: ImageSet
    programs: dict[str, Program]


def striped(shape: ImageShape, count: int = 96) -> ImageSet:
    """Make images of two classes: bright above, or bright on the left."""
    draws = torch.Generator().manual_seed(shape.width)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 150, (count, *shape), generator=draws)
    images[labels == 0, :, : shape.height // 2] += 90
    images[labels == 1, :, :, : shape.width // 2] += 90
    return ImageSet("striped", images.to(torch.uint8), labels, ("above", "left"), f"striped {shape}")


@cache
def made(name: str) -> Made:
    shape, channels = CASES[name]
    images = striped(shape)
    settings = train.TrainSettings(epochs=4, batch_size=16, learning_rate=0.03, device="cpu")
    network = zoo.create("lenet", classes=2, size=shape.size, channels=channels)
    original = train.fit(network, images, None, settings=settings)
    with quiet():
        programs = {
            target: adapt.ptq(original, images, target=target, calibration_images=32) for target in ("mobile", "server")
        }
    return Made(original, images, programs)


@cache
def built(name: str, target: str, folder: str) -> Build:
    runtime, suffix = RUNTIMES[target]
    with quiet():
        return build(made(name).programs[target], runtime, f"{folder}/{target}{suffix}")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: str(tmp_path_factory.mktemp("shape")) for name in CASES}


cases = pytest.mark.parametrize("name", CASES)
targets = pytest.mark.parametrize("target", RUNTIMES)


@cases
def test_a_network_keeps_its_shape_in_its_file(name, tmp_path):
    original, images, programs = made(name)
    zoo.save(original, tmp_path / "original.safetensors")
    again = zoo.load(tmp_path / "original.safetensors")
    assert again.architecture.shape == (CASES[name][1], *CASES[name][0][1:])
    assert torch.equal(twin_scores(again, images.images), twin_scores(original, images.images))
    for target, program in programs.items():
        program.save(tmp_path / target)
        assert Program.load(tmp_path / target).shape == program.shape == again.architecture.shape


@cases
@targets
def test_a_build_answers_as_its_twin_does(name, target, folders):
    images = made(name).images.images
    near = fidelity(made(name).programs[target], built(name, target, folders[name]), images)
    assert near.label_disagreement <= 0.02
    assert near.max_lsb <= 2


@cases
def test_qat_learns_on_images_of_a_shape(name):
    original, images, _ = made(name)
    with quiet():
        program = adapt.qat(original, images, None, target="server", epochs=1, batch_size=48)
    assert program.shape == original.architecture.shape


@cases
@targets
def test_an_attack_changes_the_channels_that_a_camera_records(name, target, folders):
    original, images, programs = made(name)
    pair = Pair(original, programs[target], built(name, target, folders[name]))
    few = images.select(range(12))
    found = search(pair, few, presets(40, 6)["default"])
    assert shape_of(found.images) == images.shape
    assert bool((found.last != found.clean).any())
    assert int((found.images.int() - found.clean.int()).abs().max()) <= 40
    assert len(random_search(pair, few.images, few.labels, Attack(epsilon=9, steps=2))) == 12
    for image in found.images[:3]:
        assert torch.equal(read_png(png_bytes(image)), image)


@cases
def test_a_thief_queries_images_of_the_victims_shape(name, folders):
    victim = built(name, "server", folders[name])
    images = made(name).images
    with Oracle(victim, budget=40) as oracle:
        stolen = knockoff(oracle, collages(images, 40), "lenet", measured_on=images, epochs=1, device="cpu")
    assert shape_of(stolen.questions.images) == images.shape
    assert stolen.history.epochs[-1].validation_accuracy is not None
    with Oracle(victim, budget=240) as oracle:
        without = data_free(
            oracle, "dfme", classes=2, size=images.shape.size, grey=images.grey, points=1, student="lenet",
            batch_size=16, latent=4, width=4, device="cpu",
        )  # fmt: skip
        assert oracle.spent > 0
    with torch.no_grad():
        assert shape_of(without.generator(torch.randn(2, 4))) == images.shape


@targets
def test_colour_is_refused_by_what_learned_on_grey_alone(target):
    name = "20x34 grey"
    coloured = torch.randint(0, 256, (3, 3, 20, 34), dtype=torch.uint8)
    for module in (made(name).original, twin(made(name).programs[target])):
        with pytest.raises(ModelError, match="greyscale images") as caught:
            twin_scores(module, coloured)
        assert "\n" not in str(caught.value)


@cases
@targets
def test_another_size_is_refused_in_one_line(name, target, folders):
    channels, height, width = CASES[name][0]
    wrong = torch.zeros(2, channels, height + 4, width, dtype=torch.uint8)
    with pytest.raises(EdgeriftError) as caught:
        built(name, target, folders[name]).predict(wrong)
    assert "\n" not in str(caught.value)


def test_a_build_of_three_channels_repeats_the_one_of_grey_images(folders):
    name = "28x28 grey"
    grey: Tensor = made(name).images.images
    for target in RUNTIMES:
        opened = built(name, target, folders[name])
        assert torch.equal(opened.predict(grey), opened.predict(grey.repeat(1, 3, 1, 1)))
        assert open_build(opened.path).predict(grey[:1]).shape == (1, 2)


def test_a_grey_image_is_paid_for_once_whatever_its_channels():
    """Ledgers of version 0.1 hold grey images in three channels."""
    grey = made("28x28 grey").images.images[:5]
    with Oracle(made("28x28 grey").original, budget=9) as oracle:
        first = oracle.ask(grey)
        assert torch.equal(oracle.ask(grey.repeat(1, 3, 1, 1)), first)
        assert oracle.spent == 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"channels": 2}, "channels is 2"),
        ({"channels": 1, "mean": (0.5, 0.5, 0.5)}, "mean has 3 numbers for channels=1"),
        ({"size": "96 by 160"}, "PIXELS or HEIGHTxWIDTH"),
        ({"size": (96, 5000)}, "from 8 to 4096"),
        ({"channels": 1, "stem": "imagenet", "pretrained": True}, "take 3 channels"),
    ],
)
def test_shapes_that_no_network_has(fields, said):
    with pytest.raises(RecipeError) as caught:
        zoo.Architecture(name="resnet8", classes=2, **fields)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_tiny", "densenet_tiny", "mobilenet_v2", "shufflenet_v2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_take_any_size_and_one_channel(name, channels):
    model = zoo.create(name, classes=3, channels=channels, size="40x56").eval()
    assert model.architecture.size == (40, 56)
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 40, 56)).shape == (2, 3)


def test_a_network_of_the_users_own_takes_grey_images_as_it_is():
    """It takes three channels and says so by an error alone."""
    images = striped(ImageShape(1, 12, 16))
    own = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(140, 2)
    )
    train.fit(own, images, None, epochs=1, batch_size=32, device="cpu")
    with quiet():
        program = adapt.ptq(own, images, target="server", calibration_images=32)
    assert program.shape == (3, 12, 16)
    assert torch.equal(twin_scores(own, images.images), twin_scores(own, images.images.repeat(1, 3, 1, 1)))
