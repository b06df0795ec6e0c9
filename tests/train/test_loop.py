import copy
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import errors, zoo
from edgerift.images import Augmentation, ImageSet
from edgerift.train import TrainSettings, fit, run

SETTINGS = TrainSettings(epochs=3, batch_size=16, learning_rate=0.05, device="cpu", seed=4)
STEPS = 5  # 70 images, 16 at a time


class KilledError(Exception):
    pass


class KillAt:
    """A progress that ends the run after some steps, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.seen: list[tuple[int, int, str]] = []

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        self.seen.append((done, total, note))
        if done == self.step:
            raise KilledError


def same_state(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@contextmanager
def global_state_untouched() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def test_full_batch_steps_are_plain_pytorch(train_set: ImageSet) -> None:
    train_set = replace(train_set, augmentation=Augmentation())
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    reference = copy.deepcopy(model)
    settings = SETTINGS.replace(batch_size=70, schedule="constant", label_smoothing=0.1)
    history = run(model, train_set, None, settings).history
    optimizer = torch.optim.SGD(
        reference.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=False
    )
    images, losses = train_set.images.float() / 255, []
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(reference(images), train_set.labels, label_smoothing=0.1)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(model[1].weight, reference[1].weight, rtol=1e-4, atol=1e-6)
    assert [epoch.train_loss for epoch in history.epochs] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("fields", [{}, {"precision": "bfloat16"}, {"label_smoothing": 0.1}], ids=str)
def test_a_network_that_ends_in_softmax_is_trained_as_its_logits(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, fields: dict[str, Any]
) -> None:
    # In bfloat16 the gradient of a logarithm is rounded once more.
    slack = {"rtol": 1e-3, "atol": 2e-3 if fields.get("precision") == "bfloat16" else 1e-4}
    plain = run(copy.deepcopy(net), train_set, held_set, SETTINGS.replace(**fields))
    with pytest.warns(errors.ProbabilitiesWarning, match="the model answers probabilities") as said:
        ending = run(nn.Sequential(*copy.deepcopy(net), nn.Softmax(1)), train_set, held_set, SETTINGS.replace(**fields))
    assert len(said) == 1
    for first, second in zip(plain.model.state_dict().values(), ending.model.state_dict().values(), strict=True):
        torch.testing.assert_close(first, second, **slack)
    for one, other in zip(plain.history.epochs, ending.history.epochs, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, rel=5e-3)
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=5e-3)


class SoftWhenAsked(nn.Sequential):
    """Answers logits while it is trained, and probabilities else."""

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = super().forward(images)
        return scores if self.training else scores.softmax(1)


def test_a_network_may_answer_probabilities_in_evaluation_mode_alone(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet
) -> None:
    plain = run(copy.deepcopy(net), train_set, held_set, SETTINGS)
    with pytest.warns(errors.ProbabilitiesWarning) as said:
        ending = run(SoftWhenAsked(*copy.deepcopy(net)), train_set, held_set, SETTINGS)
    assert len(said) == 1
    assert same_state(plain.model, ending.model)
    for one, other in zip(plain.history.epochs, ending.history.epochs, strict=True):
        assert other.train_loss == one.train_loss
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model_is_trained_as_its_module(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    body = nn.Sequential(*(layer for layer in net if not isinstance(layer, nn.Dropout)))
    plain = run(copy.deepcopy(body), train_set, held_set, SETTINGS)
    scripted = run(torch.jit.script(body), train_set, held_set, SETTINGS)
    for first, second in zip(plain.model.state_dict().values(), scripted.model.state_dict().values(), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    assert scripted.history.epochs[-1].validation_accuracy == plain.history.epochs[-1].validation_accuracy


class Blind(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = super().forward(images)
        return scores


def test_a_model_without_a_gradient_is_one_line(net: nn.Module, train_set: ImageSet) -> None:
    with pytest.raises(errors.ModelError, match=r"the loss has no gradient.* take no_grad\(\)"):
        run(Blind(*net), train_set, None, SETTINGS)


def test_a_loss_that_is_given_has_the_answers_as_they_are(train_set: ImageSet) -> None:
    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.nll_loss(model(images).clamp_min(1e-9).log(), labels)

    models = [nn.Sequential(nn.Flatten(), nn.Linear(192, 3))]
    models.append(nn.Sequential(*copy.deepcopy(models[0]), nn.Softmax(1)))
    plain = run(models[0], train_set, None, SETTINGS)
    torch.testing.assert_close(
        run(models[1], train_set, None, SETTINGS, loss=loss).model[1].weight, plain.model[1].weight
    )


def test_it_learns(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    settings = SETTINGS.replace(epochs=25, learning_rate=0.1, augment=True)
    trained = run(net, train_set, held_set, settings)
    first, last = trained.history.epochs[0], trained.history.epochs[-1]
    assert last.train_loss < 0.5 * first.train_loss
    assert last.validation_accuracy is not None
    assert last.validation_accuracy > 0.9


def test_validation_figures_are_those_of_the_returned_model(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet
) -> None:
    trained = run(net, train_set, held_set, SETTINGS)
    assert trained.model is net
    assert not net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    with torch.no_grad():
        logits = net(held_set.images.float() / 255)
    last = trained.history.epochs[-1]
    assert last.validation_loss == pytest.approx(F.cross_entropy(logits, held_set.labels).item(), rel=1e-4)
    assert last.validation_accuracy == pytest.approx((logits.argmax(1) == held_set.labels).double().mean().item())


def test_each_image_is_seen_once_an_epoch_in_another_order(train_set: ImageSet) -> None:
    numbered = torch.arange(70, dtype=torch.uint8).reshape(70, 1, 1, 1).expand(70, 3, 8, 8).contiguous()
    numbered_set = replace(train_set, images=numbered, augmentation=Augmentation())
    seen: list[Tensor] = []

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        numbers = (images[:, 0, 0, 0] * 255).round().long()
        assert torch.equal(labels, numbered_set.labels[numbers])
        seen.append(numbers)
        return F.cross_entropy(model(images), labels)

    run(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), numbered_set, None, SETTINGS, loss=loss)
    assert [len(batch) for batch in seen[:STEPS]] == [16, 16, 16, 16, 6]
    epochs = [torch.cat(seen[start : start + STEPS]) for start in range(0, 3 * STEPS, STEPS)]
    for order in epochs:
        assert torch.equal(order.sort().values, torch.arange(70))
    assert not torch.equal(epochs[0], epochs[1])


def test_same_seed_same_weights_other_seed_others(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    nets = [copy.deepcopy(net) for _ in range(3)]
    with global_state_untouched():
        first, second, third = (
            run(one, train_set, held_set, SETTINGS.replace(seed=seed))
            for one, seed in zip(nets, (4, 4, 5), strict=True)
        )
    assert same_state(first.model, second.model)
    assert first.history == second.history
    assert not same_state(first.model, third.model)


@pytest.mark.parametrize("killed_at", [STEPS, STEPS + 3, 3 * STEPS, 2])
def test_a_killed_run_ends_in_the_same_weights(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, tmp_path: Path, killed_at: int
) -> None:
    straight = run(copy.deepcopy(net), train_set, held_set, SETTINGS)
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        run(
            copy.deepcopy(net),
            train_set,
            held_set,
            SETTINGS,
            checkpoint=checkpoint,
            progress=KillAt(killed_at),
        )
    torch.manual_seed(killed_at)  # a new process has another global state
    watched = KillAt(-1)
    resumed = run(copy.deepcopy(net), train_set, held_set, SETTINGS, checkpoint=checkpoint, progress=watched)
    assert same_state(straight.model, resumed.model)
    assert straight.history == resumed.history
    assert len(watched.seen) == (3 - killed_at // STEPS) * STEPS


def test_progress_counts_steps_and_notes_epochs(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    watched = KillAt(-1)
    run(net, train_set, held_set, SETTINGS, progress=watched)
    assert [done for done, _, _ in watched.seen] == list(range(1, 3 * STEPS + 1))
    assert {total for _, total, _ in watched.seen} == {3 * STEPS}
    assert watched.seen[-1][2].startswith("epoch 3/3: loss ")
    assert "validation" in watched.seen[-1][2]


def test_after_each_step_of_the_optimizer_a_hook_is_told_the_share_that_is_done(
    net: nn.Module, train_set: ImageSet
) -> None:
    told: list[tuple[float, Tensor]] = []

    def note(model: nn.Module, done: float) -> None:
        assert model is net
        told.append((done, net[0].weight.detach().clone()))

    first = net[0].weight.detach().clone()
    run(net, train_set, None, SETTINGS.replace(epochs=2), on_step=note)
    steps = 2 * STEPS
    assert [done for done, _ in told] == [(step + 1) / steps for step in range(steps)]
    weights = [first, *(weight for _, weight in told)]
    assert not any(torch.equal(before, after) for before, after in itertools.pairwise(weights))
    assert torch.equal(weights[-1], net[0].weight)


def test_a_checkpoint_of_another_run_is_refused_and_kept(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    other = copy.deepcopy(net)
    run(copy.deepcopy(net), train_set, held_set, SETTINGS, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    with torch.no_grad():
        other[0].weight[0, 0, 0, 0] += 1
    renamed = replace(train_set, fingerprint="other")
    for model, images, held, settings in (
        (net, train_set, held_set, SETTINGS.replace(learning_rate=0.06)),
        (net, renamed, held_set, SETTINGS),
        (net, train_set, None, SETTINGS),
        (other, train_set, held_set, SETTINGS),
    ):
        with pytest.raises(errors.StoreError, match="belongs to a run with other settings"):
            run(model, images, held, settings, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == content


@pytest.mark.parametrize("kept", [0, 10, 3000])
def test_a_damaged_checkpoint(net: nn.Module, train_set: ImageSet, tmp_path: Path, kept: int) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    run(copy.deepcopy(net), train_set, None, SETTINGS.replace(epochs=1), checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(errors.StoreError, match=r"is damaged .*; delete it to start again") as caught:
        run(net, train_set, None, SETTINGS.replace(epochs=1), checkpoint=checkpoint)
    assert "\n" not in str(caught.value)


def test_a_custom_loss_with_soft_targets(train_set: ImageSet) -> None:
    train_set = replace(train_set, augmentation=Augmentation())
    soft = torch.softmax(torch.randn(70, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        assert targets.shape == (len(images), 3)
        return F.kl_div(F.log_softmax(model(images), 1), targets, reduction="batchmean")

    settings = SETTINGS.replace(epochs=1, batch_size=70)
    before = model[1].weight.detach().clone(), model[1].bias.detach().clone()
    expected = F.linear(train_set.images.float().flatten(1) / 255, *before)
    history = run(model, train_set, None, settings, loss=loss, targets=soft).history
    wanted = F.kl_div(F.log_softmax(expected, 1), soft, reduction="batchmean").item()
    assert history.epochs[0].train_loss == pytest.approx(wanted, rel=1e-4)
    assert history.epochs[0].train_accuracy == pytest.approx(
        (expected.argmax(1) == train_set.labels).double().mean().item()
    )
    assert history.epochs[0].validation_loss is None


def test_on_epoch_is_called_before_each_epoch_in_training_mode(net: nn.Module, train_set: ImageSet) -> None:
    calls: list[tuple[int, bool]] = []
    net.eval()
    run(net, train_set, None, SETTINGS, on_epoch=lambda model, epoch: calls.append((epoch, model.training)))
    assert calls == [(0, True), (1, True), (2, True)]


def test_a_hook_can_freeze_the_batch_norm(net: nn.Module, train_set: ImageSet) -> None:
    def freeze(model: nn.Module, epoch: int) -> None:
        model.get_submodule("1").train(epoch < 1)

    run(net, train_set, None, SETTINGS, on_epoch=freeze)
    assert net[1].num_batches_tracked == STEPS


def test_accuracy_is_unknown_where_the_loss_runs_no_batch(net: nn.Module, train_set: ImageSet) -> None:
    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(images[:3]), targets[:3])

    history = run(net, train_set, None, SETTINGS.replace(epochs=1), loss=loss).history
    assert history.epochs[0].train_accuracy is None


def test_fit_splits_and_returns_the_same_model(net: nn.Module, train_set: ImageSet) -> None:
    watched = KillAt(-1)
    fields: dict[str, Any] = {"epochs": 1, "batch_size": 16, "device": "cpu"}
    assert fit(net, train_set, 0.3, progress=watched, **fields) is net
    assert watched.seen[-1][:2] == (4, 4)  # 49 images remain
    assert not net.training
    with pytest.raises(errors.RecipeError, match="did you mean 'epochs'"):
        fit(net, train_set, epoch=3)
    with pytest.raises(errors.DataError, match="split fraction"):
        fit(net, train_set, 1.5)


def test_fields_go_before_settings(net: nn.Module, train_set: ImageSet) -> None:
    watched = KillAt(-1)
    fit(net, train_set, None, settings=SETTINGS, epochs=2, progress=watched)
    assert watched.seen[-1][:2] == (2 * STEPS, 2 * STEPS)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(net: nn.Module, train_set: ImageSet, poison: float) -> None:
    calls: list[int] = []

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        value = F.cross_entropy(model(images), targets)
        return value + poison if len(calls) == STEPS + 2 else value

    with pytest.raises(errors.ModelError, match=r"at epoch 2, step 2: .*learning_rate smaller than 0\.05"):
        run(net, train_set, None, SETTINGS, loss=loss)


def test_a_model_that_stumbles_over_its_own_nan(net: nn.Module, train_set: ImageSet) -> None:
    calls: list[int] = []

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) > 3:
            raise ValueError("cannot convert float NaN to integer")
        return F.cross_entropy(model(images), targets) * (math.nan if len(calls) == 3 else 1.0)

    with pytest.raises(errors.DivergedError, match=r"the loss is nan at epoch 1, step 3: training diverged"):
        run(net, train_set, None, SETTINGS, loss=loss)
    calls.extend([1] * 3)
    with pytest.raises(ValueError, match="cannot convert float NaN"):
        run(net, train_set, None, SETTINGS, loss=loss)


def test_weights_that_the_last_step_ruined(net: nn.Module, train_set: ImageSet) -> None:
    def steep(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(model(images), targets) * 1e6

    settings = SETTINGS.replace(learning_rate=1e38, epochs=1, batch_size=128)
    with pytest.raises(
        errors.DivergedError, match=r"the weight '.*' is (nan|-?inf) at the end of epoch 1: training diverged"
    ):
        run(net, train_set, None, settings, loss=steep)


def test_an_error_of_a_model_whose_weights_are_ruined_is_a_divergence(net: nn.Module, train_set: ImageSet) -> None:
    """The loss of the step that ruined them was finite; the next one raises before it has any."""

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
            raise ValueError("cannot convert float NaN to integer")
        return F.cross_entropy(model(images), targets) * 1e6

    with pytest.raises(errors.DivergedError, match=r"the weight '.*' is (nan|-?inf) at epoch 1, step 2: training"):
        run(net, train_set, None, SETTINGS.replace(learning_rate=1e38, epochs=1), loss=loss)


def test_a_validation_loss_that_is_not_finite(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    def poison(task: str, done: int, total: int, note: str = "") -> None:
        net.get_submodule("1").get_buffer("running_mean").fill_(torch.nan)

    with pytest.raises(errors.DivergedError, match="the validation loss is nan at epoch 1: training diverged"):
        run(net, train_set, held_set, SETTINGS, progress=poison)


def test_the_models_own_format_and_device_come_back(net: nn.Module, train_set: ImageSet) -> None:
    run(net, train_set, None, SETTINGS.replace(epochs=1))
    assert all(parameter.is_contiguous() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": zoo.create("lenet", 10, size=12)}, errors.ModelError, "10 classes, the data has 3"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(192, 2))}, errors.ModelError, r"answers \[16, 2\]"),
        ({"model": nn.Flatten()}, errors.ModelError, "no parameter that can be trained"),
        ({"targets": torch.zeros(7, 3)}, errors.DataError, "7 targets for 70 images"),
        ({"held": ("a", "b", "c")}, errors.DataError, "other classes than 'stripes'"),
        ({"device": "cuda"}, errors.MissingRuntimeError, "use device='cpu'"),
    ],
)
def test_what_does_not_belong_together(
    net: nn.Module,
    train_set: ImageSet,
    held_set: ImageSet,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    if "device" in changes and torch.cuda.is_available():
        pytest.skip("this machine has what the case asks to be missing")
    held = replace(held_set, classes=changes["held"]) if "held" in changes else None
    settings = SETTINGS.replace(device=changes.get("device", "cpu"))
    with pytest.raises(error, match=message) as caught:
        run(changes.get("model", net), train_set, held, settings, targets=changes.get("targets"))
    assert "\n" not in str(caught.value)


def test_empty_set(net: nn.Module, train_set: ImageSet) -> None:
    with pytest.raises(errors.DataError, match="has no images"):
        run(net, train_set.select([]), None, SETTINGS)


def test_bfloat16_trains_in_float32_weights(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    reduced = run(copy.deepcopy(net), train_set, held_set, SETTINGS.replace(precision="bfloat16"))
    full = run(net, train_set, held_set, SETTINGS)
    assert {parameter.dtype for parameter in reduced.model.parameters()} == {torch.float32}
    assert reduced.history != full.history
    assert reduced.history.epochs[-1].train_loss == pytest.approx(full.history.epochs[-1].train_loss, rel=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, when its compiler is imported
def test_compiled_training_agrees(net: nn.Module, train_set: ImageSet, held_set: ImageSet) -> None:
    net[3] = nn.Identity()  # compiled dropout draws other numbers
    compiled = run(copy.deepcopy(net), train_set, held_set, SETTINGS.replace(compile=True))
    plain = run(net, train_set, held_set, SETTINGS)
    assert compiled.history.epochs[-1].train_accuracy is not None
    torch.testing.assert_close(compiled.model.state_dict(), plain.model.state_dict(), rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_repeats_itself_and_resumes(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, tmp_path: Path
) -> None:
    settings = SETTINGS.replace(device="cuda")
    straight = run(copy.deepcopy(net), train_set, held_set, settings)
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        run(copy.deepcopy(net), train_set, held_set, settings, checkpoint=checkpoint, progress=KillAt(STEPS))
    resumed = run(copy.deepcopy(net), train_set, held_set, settings, checkpoint=checkpoint)
    assert same_state(straight.model, resumed.model)
    assert {parameter.device.type for parameter in resumed.model.parameters()} == {"cpu"}
