"""Quantization-aware training in which batch normalisations live, and are frozen later."""

import json

import pytest
import torch
from torch import nn

from edgerift import errors, images, train
from edgerift.adapt import Divqat, QatSettings, divqat, qat, run_qat
from edgerift.adapt._methods import _converted
from edgerift.deploy import trainable_twin, twin, twin_scores
from edgerift.measure import accuracy
from edgerift.settings import canonical_json
from edgerift.train import TrainSettings

TRAIN = TrainSettings(epochs=2, batch_size=32, learning_rate=0.01, device="cpu", augment=False)
ALIVE = QatSettings(train=TRAIN, batch_norm="alive")


def blocks():
    """Convolutions with normalisations, one of them depthwise and one of a layer with a bias."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def digits(session_folders):
    whole = images.load("digits", size=8)
    return whole.train.select(torch.arange(256)), whole.test.select(torch.arange(200))


@pytest.fixture(scope="module")
def network(digits):
    return train.fit(blocks(), digits[0], None, settings=TRAIN.replace(epochs=6, learning_rate=0.1))


@pytest.fixture(scope="module")
def converted(network, digits):
    return _converted(network, digits[0], "mobile", ALIVE.calibration, "qat", {}, lambda *_: None)


@pytest.fixture
def seen(monkeypatch):
    """The twins that were trained, each with its running means and variances before each epoch and at the end."""
    from edgerift.adapt import _methods as module

    found = []

    def run(student, data, held, settings, *, on_epoch, **rest):
        kept = []

        def watched(model, epoch):
            kept.append(figures(student))
            on_epoch(model, epoch)

        trained = train.run(student, data, held, settings, on_epoch=watched, **rest)
        found.append((student, [*kept, figures(student)]))
        return trained

    monkeypatch.setattr(module, "run", run)
    return found


def figures(student):
    kept = [buffer for name, buffer in student.named_buffers() if name.endswith(("mean", "variance"))]
    return torch.cat([torch.zeros(0), *kept])


def test_they_follow_the_batches_while_they_live_and_the_program_is_the_twin(network, digits, seen):
    program, _ = run_qat(network, digits[0], None, target="mobile", settings=ALIVE.replace(live_epochs=1))
    ((student, kept),) = seen
    assert len(kept[0]) == 2 * (8 + 8 + 16)
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(kept[1], kept[2])
    expected = torch.cat([part for norm in network if isinstance(norm, nn.BatchNorm2d) for part in means(norm)])
    torch.testing.assert_close(kept[0], expected)
    scores = twin_scores(student.eval(), digits[1].images)
    assert torch.equal(scores, twin_scores(twin(program), digits[1].images))
    assert accuracy(scores, digits[1].labels).value > accuracy(scores, digits[1].labels.roll(1)).value + 0.2


def means(norm):
    return norm.running_mean, norm.running_var


def test_before_the_first_step_it_is_the_frozen_one(converted, digits):
    alive = trainable_twin(converted.program, converted.weights).eval()
    frozen = trainable_twin(
        converted.program, {layer: one._replace(norm=None) for layer, one in converted.weights.items()}
    ).eval()
    assert len(list(alive.parameters())) == len(list(frozen.parameters())) + 3 * 3 - 3
    apart = (twin_scores(alive, digits[1].images) - twin_scores(frozen, digits[1].images)).abs()
    # A value on the edge between two levels may fall to either side.
    assert apart.median() < 1e-5
    first, second = alive.program(), frozen.program()
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        torch.testing.assert_close(tensor, second.tensors[name], atol=1 if tensor.dtype == torch.int8 else 1e-5, rtol=0)


def test_by_default_they_are_frozen_and_no_name_of_a_step_changes(network, digits, seen):
    assert sorted(json.loads(canonical_json(QatSettings()))) == ["calibration", "observe_epochs", "train"]
    assert QatSettings.model_validate({"batch_norm": "frozen"}) == QatSettings()
    assert json.loads(canonical_json(ALIVE))["batch_norm"] == "alive"
    qat(network, digits[0], None, settings=ALIVE.replace(batch_norm="frozen", train=TRAIN.replace(epochs=1)))
    assert [len(kept) for _, figures_of in seen for kept in figures_of] == [0, 0]


def test_what_is_frozen_does_not_live_for_some_epochs():
    text = "live_epochs is 2 and batch_norm 'frozen'; set it to alive"
    with pytest.raises(errors.RecipeError, match=text):
        QatSettings(live_epochs=2)
    assert QatSettings(live_epochs=2, batch_norm="alive").live_epochs == 2


def test_divqat_trains_on_it(network, digits, seen):
    """With alpha 0 it is QAT, bit for bit."""
    short, few = ALIVE.replace(train=TRAIN.replace(epochs=1)), digits[0].select(torch.arange(64))
    plain = qat(network, few, None, settings=short)
    same, other = (divqat(network, few, None, defence=Divqat(alpha=alpha), settings=short) for alpha in (0.0, 0.5))
    assert all(torch.equal(tensor, same.tensors[name]) for name, tensor in plain.tensors.items())
    assert not all(torch.equal(tensor, other.tensors[name]) for name, tensor in plain.tensors.items())
    assert all(not torch.equal(kept[0], kept[-1]) for _, kept in seen)
