"""A build of another program is told from what rounding does, by the grid of its logits and by its labels."""

import pytest
import torch
from made_networks import flat, random_images, stem
from small_pair import make_other_build

from edgerift import images, train, zoo
from edgerift.adapt import ptq
from edgerift.deploy import Fidelity, Program, build, fidelity, leaves_program, open_build, quiet, twin, twin_scores
from edgerift.deploy.builds._departure import departure


@pytest.fixture(scope="module")
def program(small_pair):
    return Program.load(small_pair.folder / "program.safetensors")


@pytest.fixture(scope="module")
def splits(small_pair):
    return images.open_splits(small_pair.images)


#: images, labels that rounding does not explain, rms, what rounding explains, distance from the grid, and whether that
#: leaves a program.
CASES = [
    (256, 0.0, 0.0, 0.03, 0.0, False),
    (256, 0.02, 0.029, 0.03, 1e-5, False),
    (256, 0.02, 0.031, 0.03, 0.0, True),
    (256, 0.02, 0.031, 0.05, 0.0, False),
    (256, 0.0, 0.01, 0.03, 0.01, True),
    (256, 0.1, 0.01, 0.03, 0.0, True),
    (256, 0.06, 0.0, 0.03, 0.0, False),
    (5, 0.2, 0.01, 0.03, 0.0, False),
    (5, 1.0, 0.01, 0.03, 0.0, True),
    (5, 0.0, float("nan"), 0.03, 0.0, True),
    (5, 0.0, 0.0, 0.03, float("nan"), True),
]


@pytest.mark.parametrize(("count", "labels", "rms", "explained", "off_grid", "leaves"), CASES)
def test_what_leaves_a_program(count, labels, rms, explained, off_grid, leaves):
    assert leaves_program(Fidelity("onnxruntime", count, 0.0, 2.0, 1.0, rms, explained, off_grid, labels)) == leaves


def test_another_best_class_of_a_thousand_tells_where_it_was_ahead(make_program):
    maker = make_program()
    program = maker.program(maker.linear(flat(maker, stem(maker)), 1000))
    images = random_images(64)
    model = twin(program)
    expected = twin_scores(model, images)
    (best, second), places = expected.topk(2).values.T, expected.argmax(1, keepdim=True)
    near = departure(program, expected.scatter(1, places, second[:, None] - 1e-3), images, model)
    ahead = best - second > 2 * near.explained * expected.std()
    assert near.rms < near.explained
    assert near.label_disagreement == 1
    assert near.other_labels == pytest.approx(float(ahead.double().mean()), abs=0.02)
    assert leaves_program(near)
    ties = torch.where(ahead, best, second - 1e-3)
    near = departure(program, expected.scatter(1, places, ties[:, None]), images, model)
    assert near.label_disagreement > 0
    assert not leaves_program(near)


@pytest.mark.parametrize("few", [1, 64])
def test_a_build_is_that_of_its_program(small_pair, program, splits, few):
    shipped = open_build(small_pair.folder / "model.onnx")
    assert not leaves_program(fidelity(program, shipped, splits.test.images[:few]))


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
            assert not leaves_program(fidelity(before, old, images))
            program = ptq(original, splits.train, target=target, calibration_images=64, seed=3)
        else:
            settings = train.TrainSettings(epochs=1, batch_size=64, learning_rate=0.01, device="cpu")
            train.fit(original, splits.train, None, settings=settings)
            program = ptq(original, splits.train, target=target, calibration_images=64)
    assert leaves_program(fidelity(program, old, images))
