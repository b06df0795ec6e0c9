"""Distillation: its loss in closed form, its limits, and the student that is made."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift import deploy, errors, train, zoo
from edgerift.adapt import Distillation, distil
from edgerift.images import Augmentation, ImageSet, to_float
from edgerift.train import TrainSettings

TRAIN = TrainSettings(epochs=2, batch_size=16, learning_rate=0.05, device="cpu")
SHORT = Distillation(student="lenet", train=TRAIN)


@pytest.fixture(scope="module")
def few():
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 12, 12), generator=draws, dtype=torch.uint8)
    return ImageSet("noise", images, torch.arange(64) % 4, tuple("abcd"), "noise-0")


@pytest.fixture(scope="module")
def teacher():
    return zoo.create("resnet8", classes=4, size=12, seed=3).eval()


def logits(rows, classes, seed):
    return 3 * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).float()


def test_a_student_that_equals_the_teacher_has_no_soft_loss():
    same = logits(5, 6, 0).requires_grad_(True)
    loss = Distillation(hard=0.0).loss(same, same.detach(), torch.zeros(5, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert same.grad.abs().max() < 1e-6


def test_hot_answers_are_compared_by_their_centred_logits():
    """T squared times the divergence goes to |difference of the centred logits| squared over 2K."""
    student, teacher = logits(1, 6, 1), logits(1, 6, 2)
    centred = (teacher - teacher.mean()) - (student - student.mean())
    limit = float(centred.double().square().sum()) / 12
    label = torch.zeros(1, dtype=torch.int64)
    found = [float(Distillation(hard=0.0, temperature=T).loss(student, teacher, label)) for T in (1.0, 10.0, 100.0)]
    assert found[2] == pytest.approx(limit, rel=0.02)
    assert abs(found[2] - limit) < abs(found[1] - limit) < abs(found[0] - limit)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_of_the_soft_part_is_t_times_the_difference_of_probabilities(temperature):
    student, teacher = torch.tensor([[0.5, -1.0]], requires_grad=True), torch.tensor([[2.0, 0.0]])
    Distillation(hard=0.0, temperature=temperature).loss(student, teacher, torch.tensor([1])).backward()
    first = 1 / (1 + math.exp(-1.5 / temperature)) - 1 / (1 + math.exp(-2.0 / temperature))
    expected = [temperature * first, -temperature * first]
    assert student.grad.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_divergence_is_from_the_teacher():
    student, teacher, labels = logits(3, 4, 4), logits(3, 4, 5), torch.tensor([0, 3, 1])
    known, learned = teacher.softmax(1), student.softmax(1)
    soft = (known * (known / learned).log()).sum(1).mean()
    expected = 0.75 * soft + 0.25 * F.cross_entropy(student, labels)
    loss = Distillation(hard=0.25, temperature=1.0).loss(student, teacher, labels)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_hard_labels_alone_are_plain_training_bit_for_bit(teacher, few):
    student = distil(teacher, few, None, settings=SHORT, hard=1.0)
    reference = train.fit(zoo.create("lenet", classes=4, size=12, channels=3), few, None, settings=TRAIN)
    assert all(torch.equal(one, reference.state_dict()[name]) for name, one in student.state_dict().items())
    other = distil(teacher, few, None, settings=SHORT)
    assert not torch.equal(other.body[0].weight, student.body[0].weight)


def test_the_student_learns_the_teachers_answers_and_not_the_labels(teacher, few):
    known = train.fit(zoo.create("lenet", classes=4, size=12, seed=5), few, None, settings=TRAIN.replace(epochs=4))
    turned = ImageSet("turned", few.images, (few.labels + 1) % 4, few.classes, "turned-0")
    settings = SHORT.replace(hard=0.0, train=TRAIN.replace(epochs=30))
    student = distil(known, turned, None, settings=settings)
    with torch.no_grad():
        images = few.images / 255
        same = (student(images).argmax(1) == known(images).argmax(1)).float().mean()
        labels = (student(images).argmax(1) == turned.labels).float().mean()
    assert same > 0.8
    assert labels < 0.5


class Watched(nn.Module):
    """The teacher beside the training, with its mode and with all that it saw and answered."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.before = copy.deepcopy(body.state_dict())
        self.told = []

    def forward(self, images):
        answer = self.body(images)
        trained = any(part.training for part in self.body.modules())
        self.told.append((images.clone(), answer, trained))
        return answer


def test_the_teacher_sees_the_students_augmented_batches_and_is_not_touched(few, monkeypatch):
    beside, batches = [], []
    real_folded, real_run = deploy.folded, train.run

    def watched(model):
        beside.append(Watched(real_folded(model)))
        return beside[0]

    def spied(student, *given, **options):
        def note(model, inputs):
            if model.training:
                batches.append(inputs[0].clone())

        student.register_forward_pre_hook(note)
        return real_run(student, *given, **options)

    monkeypatch.setattr(deploy, "folded", watched)
    monkeypatch.setattr(train, "run", spied)
    teacher = zoo.create("resnet8", classes=4, size=12, seed=3)
    before = copy.deepcopy(teacher).eval()
    assert teacher.train().training  # As a user may hand it over.
    distil(teacher, replace(few, augmentation=Augmentation(crop=3)), None, settings=SHORT)
    (reference,) = beside
    assert len(batches) == 2 * 4
    raw = to_float(few.images)
    for batch, (seen, answer, trained) in zip(batches, reference.told, strict=True):
        assert torch.equal(batch, seen)
        assert not trained
        assert not answer.requires_grad
        torch.testing.assert_close(answer, before(seen), rtol=1e-4, atol=1e-4)
        assert not bool((batch[:, None] == raw[None]).flatten(2).all(2).any(1).all())
    assert not torch.equal(batches[0], batches[4])
    assert all(part.training for part in teacher.modules())
    assert all(parameter.grad is None for parameter in [*teacher.parameters(), *reference.parameters()])
    for first, second in ((before.state_dict(), teacher.state_dict()), (reference.before, reference.body.state_dict())):
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_without_a_name_the_student_is_the_originals_own_network_drawn_anew(teacher, few):
    student = distil(teacher, few, None, settings=Distillation(train=TRAIN.replace(epochs=1)), seed=7)
    assert student.architecture == teacher.architecture
    assert student.learned.data == "noise"
    assert not student.training
    with pytest.raises(errors.RecipeError, match="name a student"):
        distil(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), few, None, settings=Distillation(train=TRAIN))


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"student": "lenett"}, errors.ModelError, "did you mean 'lenet'"),
        ({"temperature": 0.0}, errors.RecipeError, "temperature is 0"),
        ({"hard": 1.5}, errors.RecipeError, "hard is 1.5"),
    ],
)
def test_wrong_settings_are_one_line(teacher, few, fields, kind, text):
    with pytest.raises(kind, match=text) as caught:
        distil(teacher, few, None, settings=SHORT, **fields)
    assert "\n" not in str(caught.value)
