"""A build of another program is told from what rounding does, by the grid of its logits and by its labels."""

from dataclasses import replace

import pytest
from small_pair import make_other_build

from edgerift import images, train, zoo
from edgerift.adapt import ptq
from edgerift.deploy import Fidelity, Program, build, fidelity, leaves_program, open_build, quiet


@pytest.fixture(scope="module")
def program(small_pair):
    return Program.load(small_pair.folder / "program.safetensors")


@pytest.fixture(scope="module")
def splits(small_pair):
    return images.open_splits(small_pair.images)


#: images, label disagreement, equal logits, largest difference, rms, and whether that leaves a program with a grid, and
#: one without.
CASES = [
    (256, 0.0, 1.0, 0, 0.0, False, False),
    (256, 0.004, 0.8, 2, 0.02, False, False),
    (256, 0.02, 0.5, 6, 0.04, False, False),
    (256, 0.0, 0.0, 1e-5, 1e-7, False, False),
    (256, 0.0, 0.0, 0.5, 0.01, True, False),
    (256, 0.0, 0.0, 0.5, 0.07, True, True),
    (256, 0.1, 0.9, 3, 0.01, True, True),
    (5, 0.2, 0.9, 1, 0.01, False, False),
    (5, 1.0, 0.9, 1, 0.01, True, True),
]


@pytest.mark.parametrize(("count", "disagreement", "equal", "lsb", "rms", "on_grid", "off_grid"), CASES)
def test_rounding_is_no_other_program(program, count, disagreement, equal, lsb, rms, on_grid, off_grid):
    near = Fidelity("onnxruntime", count, equal, lsb, disagreement, rms)
    dequantize = next(each for each in program.operations if "dequantize_per_tensor" in each.operator)
    assert leaves_program(replace(program, output=dequantize.name), near) == on_grid
    assert leaves_program(replace(program, output=program.operations[-1].name), near) == off_grid


@pytest.mark.parametrize("few", [1, 64])
def test_a_build_is_that_of_its_program(small_pair, program, splits, few):
    shipped = open_build(small_pair.folder / "model.onnx")
    assert not leaves_program(program, fidelity(program, shipped, splits.test.images[:few]))


@pytest.mark.parametrize(("target", "change"), [("server", "trained"), ("mobile", "calibrated"), ("server", "blind")])
def test_a_build_of_the_next_program_is_told(small_pair, program, splits, tmp_path, target, change):
    """Also where it gives nearly every image the same label as before."""
    old = open_build(small_pair.folder / "model.onnx")
    original = zoo.load(small_pair.folder / "original.safetensors")
    images = splits.test.images[:64]
    with quiet():
        if change == "blind":
            old = open_build(make_other_build(small_pair, tmp_path / "blind.onnx", label=3))
        elif change == "calibrated":
            before = ptq(original, splits.train, target=target, calibration_images=64)
            old = build(before, "onnxruntime", tmp_path / "before.onnx")
            assert not leaves_program(before, fidelity(before, old, images))
            program = ptq(original, splits.train, target=target, calibration_images=64, seed=3)
        else:
            settings = train.TrainSettings(epochs=1, batch_size=64, learning_rate=0.01, device="cpu")
            train.fit(original, splits.train, None, settings=settings)
            program = ptq(original, splits.train, target=target, calibration_images=64)
    assert leaves_program(program, fidelity(program, old, images))
