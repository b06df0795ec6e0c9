"""Training with a defence in the loss: what the original sees, alpha 0, resume, and the float stage."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgerift import errors, train, zoo
from edgerift.adapt import (
    AdaptRecipe,
    Allowance,
    Divqat,
    HardenedRecipe,
    LabelSmoothing,
    PtqSettings,
    QatSettings,
    divqat,
    ptq,
    qat,
    run_hardened,
    run_qat,
    tune,
    weights_digest,
)
from edgerift.adapt import _hardened as module
from edgerift.deploy import Program, folded, twin, twin_scores
from edgerift.images import Augmentation, ImagesSettings, to_float
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

# Where the target does not matter it is `server`, whose quantizer takes a tenth of the time.
SHORT = QatSettings(
    train=TrainSettings(epochs=2, batch_size=32, learning_rate=0.01, device="cpu"),
    calibration=PtqSettings(calibration_images=32),
    observe_epochs=1,
)


@pytest.fixture(scope="module")
def few(digits):
    return digits.train.select(torch.arange(96))


def same(first: Program, second: Program) -> bool:
    """Tell whether two programs compute the same, whatever they say about where they come from."""
    return first.operations == second.operations and all(
        torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items()
    )


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_alpha_0_is_qat_bit_for_bit(lenet, few, target):
    plain = qat(lenet, few, None, target=target, settings=SHORT)
    assert same(divqat(lenet, few, None, target=target, settings=SHORT, alpha=0), plain)
    assert not same(divqat(lenet, few, None, target=target, settings=SHORT, alpha=0.5), plain)


@pytest.mark.parametrize("fields", [{"label_smoothing": 0.1}, {"precision": "bfloat16"}, {"seed": 3}])
def test_alpha_0_is_qat_with_any_training(lenet, few, fields):
    settings = SHORT.replace(train=SHORT.train.replace(epochs=1, **fields))
    plain = qat(lenet, few, None, target="server", settings=settings)
    defence = Divqat(alpha=0, direction="jensen-shannon", temperature=4.0, gate=0.0, hinge=0.5)
    assert same(divqat(lenet, few, None, target="server", settings=settings, defence=defence), plain)


@pytest.mark.parametrize(
    "defence", [Divqat(alpha=9.0, hinge=0.0), LabelSmoothing(share=0.0)], ids=["hinge", "smoothing"]
)
@pytest.mark.parametrize("fields", [{"label_smoothing": 0.1}, {"precision": "bfloat16"}], ids=str)
def test_strength_0_of_the_others_is_qat_too(lenet, few, defence, fields):
    settings = SHORT.replace(train=SHORT.train.replace(epochs=1, **fields))
    assert defence.strength == 0
    plain = qat(lenet, few, None, target="server", settings=settings)
    found = run_hardened(lenet, few, None, target="server", defence=defence, settings=settings)
    assert same(found.program, plain)


def test_alpha_0_is_qat_of_a_network_with_normalisations(original, few):
    settings = SHORT.replace(train=SHORT.train.replace(epochs=1))
    plain = qat(original, few, None, target="server", settings=settings)
    assert same(divqat(original, few, None, target="server", settings=settings, alpha=0), plain)


def test_the_history_is_that_of_qat_at_alpha_0(lenet, few, digits):
    given = (lenet, few, digits.test)
    options = {"target": "server", "settings": SHORT}
    _, history = run_qat(*given, **options)
    assert run_hardened(*given, defence=Divqat(alpha=0), **options).history == history
    assert run_hardened(*given, defence=Divqat(alpha=0.5), **options).history != history


class Watched(nn.Module):
    """The original beside the training, with all that it saw and answered."""

    def __init__(self, body):
        super().__init__()
        self.body = body
        self.seen, self.answers = [], []

    def forward(self, images):
        answer = self.body(images)
        self.seen.append(images.clone())
        self.answers.append(answer)
        return answer


@pytest.mark.parametrize("stage", ["quantized", "float"])
def test_the_original_sees_the_same_augmented_batches_and_is_not_touched(original, few, monkeypatch, stage):
    beside, batches, modes = [], [], []
    real = Divqat.batch_loss

    def watched(model):
        beside.append(Watched(folded(model)).eval())
        return beside[0]

    def spied(self, model, reference, images, labels, label_smoothing):
        inputs = []
        with model.register_forward_pre_hook(lambda _, given: inputs.append(given[0])):
            value = real(self, model, reference, images, labels, label_smoothing)
        (given,) = inputs
        batches.append(given.clone())
        modes.append((model.training, reference.training))
        return value

    monkeypatch.setattr(module, "folded", watched)
    monkeypatch.setattr(Divqat, "batch_loss", spied)
    before = copy.deepcopy(original)
    moved = replace(few, augmentation=Augmentation(crop=3))
    original.train()  # As a user may hand it over; the fixture tells whether it comes back so.
    try:
        run_hardened(original, moved, None, target="server", defence=Divqat(alpha=0.5), settings=SHORT, stage=stage)
        assert original.training
    finally:
        original.eval()
    (reference,) = beside
    assert len(batches) == 2 * 3
    assert set(modes) == {(True, False)}
    raw = to_float(moved.images)
    for batch, seen, answer in zip(batches, reference.seen, reference.answers, strict=True):
        assert torch.equal(batch, seen)
        assert not answer.requires_grad
        torch.testing.assert_close(answer, before(seen), rtol=1e-4, atol=1e-4)
        assert not bool((batch[:, None] == raw[None]).flatten(2).all(2).any(1).all())
    assert not torch.equal(batches[0], batches[3])
    assert all(parameter.grad is None for parameter in [*original.parameters(), *reference.parameters()])
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, original.state_dict()[name]), name


def test_the_divergence_grows(lenet, digits):
    """What the loss is for: away from the original."""
    images = digits.train.images
    original = twin_scores(lenet, images).log_softmax(1)
    settings = SHORT.replace(train=SHORT.train.replace(epochs=3))

    def distance(alpha):
        program = divqat(lenet, digits.train, None, target="server", settings=settings, alpha=alpha)
        answer = twin_scores(twin(program), images).log_softmax(1)
        return float((answer.exp() * (answer - original)).sum(1).mean())

    near, far = distance(0.0), distance(4.0)
    assert far > 10 * near > 0


@pytest.mark.parametrize(
    "defence", [Divqat(alpha=0.4, cap=1.0), LabelSmoothing(share=0.3)], ids=["divqat", "smoothing"]
)
def test_the_float_stage_is_a_training_in_float_and_then_ptq(lenet, few, defence):
    found = run_hardened(lenet, few, None, target="server", defence=defence, settings=SHORT, stage="float")
    reference = folded(lenet)

    def loss(model, images, labels):
        if isinstance(defence, LabelSmoothing):
            return nn.functional.cross_entropy(model(images), labels, label_smoothing=0.3)
        return defence.loss(model(images), reference(images), labels)

    model = copy.deepcopy(lenet)
    history = train.run(model, few, None, SHORT.train, loss=loss).history
    assert same(found.program, ptq(model, few, target="server", settings=SHORT.calibration))
    assert found.history == history
    quantized = run_hardened(lenet, few, None, target="server", defence=defence, settings=SHORT)
    assert not same(found.program, quantized.program)


@pytest.mark.parametrize("stage", ["quantized", "float"])
def test_the_program_says_where_it_came_from(lenet, few, stage):
    defence = Divqat(alpha=0.25, cap=2.0)
    settings = SHORT.replace(train=SHORT.train.replace(seed=7, epochs=1))
    program = run_hardened(lenet, few, None, target="server", defence=defence, settings=settings, stage=stage).program
    told = dict(program.provenance.settings)
    assert program.provenance.method == "divqat"
    assert program.provenance.original == weights_digest(lenet)
    assert told.pop("stage", "quantized") == stage
    assert Divqat(**told.pop("divqat")) == defence
    assert told["train"]["seed"] == 7
    assert told == settings.model_dump(mode="json")


def test_fields_go_before_those_of_the_defence(lenet, few):
    settings = SHORT.replace(train=SHORT.train.replace(epochs=1))
    program = divqat(lenet, few, None, target="server", settings=settings, defence=Divqat(alpha=3, cap=1.0), alpha=0.2)
    assert Divqat(**program.provenance.settings["divqat"]) == Divqat(alpha=0.2, cap=1.0)
    default = divqat(lenet, few, 0.25, target="server", settings=settings)
    assert Divqat(**default.provenance.settings["divqat"]) == Divqat()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"alfa": 1}, "did you mean 'alpha'"),
        ({"alpha": -1}, "alpha is -1; it must be greater than or equal to 0"),
        ({"target": "servr"}, "unknown target 'servr'; did you mean 'server'"),
        ({"settings": SHORT.replace(train=SHORT.train.replace(compile=True))}, "divqat does not take compile=True"),
    ],
)
def test_wrong_input_is_one_line(lenet, few, fields, text):
    with pytest.raises(errors.RecipeError, match=text) as caught:
        divqat(lenet, few, None, **{"settings": SHORT, **fields})
    assert "\n" not in str(caught.value)


def test_an_unknown_stage_is_refused(lenet, few):
    with pytest.raises(errors.RecipeError, match="unknown stage 'flaot'; did you mean 'float'"):
        run_hardened(lenet, few, None, target="server", defence=Divqat(), settings=SHORT, stage="flaot")


def test_an_original_for_other_classes_is_refused(few):
    with pytest.raises(errors.ModelError):
        divqat(zoo.create("lenet", classes=7), few, None, settings=SHORT)


IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=3, batch_size=256, learning_rate=0.01, device="cpu")
ORIGINAL = TrainRecipe(
    images=IMAGES,
    architecture=zoo.Architecture(name="lenet", classes=10, size=12),
    settings=TRAIN.replace(epochs=8, batch_size=32, learning_rate=0.05),
)
SETTINGS = QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN)


def hardening(**changes):
    fields = {"original": ORIGINAL, "images": IMAGES, "target": "server", "settings": SETTINGS, "defence": Divqat()}
    return HardenedRecipe(**{**fields, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def files(folder):
    return {path.name for path in folder.iterdir()}


def test_the_store_keeps_qat_at_alpha_0(store):
    folder = store.get(hardening(defence=Divqat(alpha=0)))
    plain = store.get(AdaptRecipe(original=ORIGINAL, images=IMAGES, target="server", settings=SETTINGS))
    assert files(folder) == {"program.safetensors", "history.json", "history.png", "recipe.json", "SHA256SUMS"}
    programs = [Program.load(place / "program.safetensors") for place in (folder, plain)]
    assert same(*programs)
    assert programs[0].provenance.settings["divqat"]["alpha"] == 0
    assert (folder / "history.json").read_bytes() == (plain / "history.json").read_bytes()


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("stage", "task"), [("quantized", "divqat"), ("float", "divqat in float")])
def test_a_killed_training_ends_in_the_same_bytes(store, tmp_path, stage, task):
    recipe = hardening(stage=stage, defence=Divqat(alpha=0.3))
    done = []

    def kill(name, step, total, note=""):
        if name == task and step == 2 * total // 3 + 1:
            raise KilledError

    fresh = tmp_path / "killed"
    fresh.mkdir()
    with pytest.raises(KilledError):
        recipe.produce(fresh, store, kill)
    assert files(fresh) == {"checkpoint.pt"}
    recipe.produce(fresh, store, lambda name, step, total, note="": done.append(step) if name == task else None)
    assert len(done) == done[-1] // 3  # One epoch of the three was left.
    finished = store.get(recipe)
    assert files(fresh) == files(finished) - {"recipe.json", "SHA256SUMS"}
    for name in files(fresh):
        assert (fresh / name).read_bytes() == (finished / name).read_bytes(), name


def test_a_finished_training_is_not_done_again(store):
    told = []
    store.get(hardening(defence=Divqat(alpha=0)), silent)
    store.get(hardening(defence=Divqat(alpha=0)), lambda *given: told.append(given))
    assert told == []


@pytest.mark.parametrize(
    "changes",
    [
        {"defence": Divqat(alpha=0.2)},
        {"defence": Divqat(floor=0.001)},
        {"defence": LabelSmoothing()},
        {"stage": "float"},
        {"target": "mobile"},
        {"settings": SETTINGS.replace(observe_epochs=1)},
        {"settings": SETTINGS.replace(train=TRAIN.replace(seed=1))},
        {"images": IMAGES.replace(seed=1)},
        {"original": ORIGINAL.replace(init_seed=1)},
    ],
)
def test_what_can_change_a_program_changes_its_name(changes):
    recipe = hardening(**changes)
    assert recipe.digest() != hardening().digest()
    assert HardenedRecipe.model_validate_json(recipe.canonical_json()).digest() == recipe.digest()


def test_the_name_holds_these_fields_and_no_others():
    """A field more or less gives another name to every result that a store holds."""
    told = json.loads(hardening().canonical_json())
    assert sorted(told) == ["defence", "images", "original", "settings", "stage", "target", "type", "version"]
    assert told["defence"] == {
        "alpha": 0.1,
        "cap": None,
        "direction": "forward",
        "floor": 0.0,
        "gate": None,
        "hinge": None,
        "temperature": 1.0,
        "type": "divqat",
    }


def test_descriptions_whose_kinds_stand_in_the_field_name_are_read():
    told = hardening().model_dump(mode="json")
    told["defence"] = {"name": told["defence"].pop("type"), **told["defence"]}
    assert HardenedRecipe.model_validate_json(json.dumps(told)).digest() == hardening().digest()


def test_a_search_without_a_store_keeps_the_strongest_that_is_allowed(lenet, few, digits):
    held = digits.train.select(torch.arange(200, 260))
    allowance = Allowance(l1=0.6, accuracy_drop=1.0, high=60.0, steps=2)
    found = tune(lenet, few, held, target="server", defence=Divqat(), settings=SHORT, allowance=allowance)
    search = found.search
    assert [trial.strength for trial in search.trials][:1] == [0.0]
    assert len(search.trials) == 4
    chosen = divqat(lenet, few, held, target="server", settings=SHORT, alpha=search.chosen)
    assert same(found.program, chosen)
    (kept,) = (trial for trial in search.trials if trial.strength == search.chosen)
    plain = qat(lenet, few, held, target="server", settings=SHORT)
    answers = [twin_scores(twin(program), held.images).softmax(1) for program in (plain, chosen)]
    assert kept.l1 == pytest.approx(float((answers[0] - answers[1]).abs().sum(1).mean()))
    automatic = divqat(lenet, few, held, target="server", settings=SHORT, alpha="auto", allowance=allowance)
    assert same(automatic, chosen)


def test_an_allowance_without_a_search_is_refused(lenet, few):
    with pytest.raises(errors.RecipeError, match='alpha="auto"'):
        divqat(lenet, few, None, settings=SHORT, alpha=0.1, allowance=Allowance())
