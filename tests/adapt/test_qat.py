"""Quantization-aware training: frozen ranges, seeds, exact resume, and what it is for."""

import copy
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from edgerift import adapt, errors
from edgerift.adapt import PtqSettings, QatSettings, ptq, qat, run_qat
from edgerift.adapt._convert import quantize
from edgerift.deploy import Program, Provenance, trainable_twin, twin, twin_scores
from edgerift.images import ImageShape, in_channels, to_float
from edgerift.measure import accuracy
from edgerift.train import TrainSettings, run

# Where the target does not matter it is `server`, whose quantizer takes a tenth of the time.
QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"
STEPS = 10
SHORT = QatSettings(
    train=TrainSettings(epochs=1, batch_size=32, learning_rate=0.01, device="cpu"),
    calibration=PtqSettings(calibration_images=32),
)


def saved(program: Program, folder: Path) -> bytes:
    program.save(folder / "program.safetensors")
    return (folder / "program.safetensors").read_bytes()


def grids(program: Program) -> list[object]:
    return [operation.arguments[1:] for operation in program.operations if operation.operator == QUANTIZE]


def test_the_history_tells_each_epoch(qat_result, digits):
    history, program = qat_result.history, qat_result.program
    assert len(history.epochs) == 3
    assert history.epochs[0].learning_rate == 0.01
    measured = accuracy(twin_scores(twin(program), digits.test.images), digits.test.labels)
    assert history.epochs[-1].validation_accuracy == pytest.approx(measured.value)
    loss = F.cross_entropy(twin_scores(twin(program), digits.test.images), digits.test.labels)
    assert history.epochs[-1].validation_loss == pytest.approx(float(loss), rel=1e-5)


def test_the_program_says_where_it_came_from(qat_result, ptq_program, settings, digits):
    provenance = qat_result.program.provenance
    assert provenance.method == "qat"
    assert provenance.original == ptq_program.provenance.original
    assert provenance.settings == settings.model_dump(mode="json")
    assert provenance.trained_on == len(digits.train)
    assert QatSettings(**provenance.settings).observe_epochs == 2
    assert qat_result.program.target == "mobile"
    assert [operation.name for operation in qat_result.program.operations] == [
        operation.name for operation in ptq_program.operations
    ]
    assert qat_result.program.tensors.keys() == ptq_program.tensors.keys()


def test_weights_stay_symmetric_int8_per_channel(qat_result, ptq_program):
    moved = 0
    for name, levels in qat_result.program.tensors.items():
        if name.endswith(".weight"):
            assert levels.dtype == torch.int8
            assert levels.int().abs().amax() == 127
            moved += int((levels != ptq_program.tensors[name]).sum())
    assert moved > 1000


@pytest.fixture(scope="module")
def student_after(trained, digits, settings):
    """Train as qat does and return the twin itself, with the range's values after each epoch."""
    options = {
        "target": "mobile",
        "classes": 10,
        "shape": ImageShape(3, 32, 32),
        "provenance": Provenance(method="qat"),
    }
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(320, generator=generator)[:1024]
    converted = quantize(copy.deepcopy(trained), [to_float(in_channels(digits.train.images[chosen], 3))], **options)
    weights = {layer: one._replace(norm=None) for layer, one in converted.weights.items()}
    student = trainable_twin(converted.program, weights)
    seen = []

    def freeze(_model, epoch):
        seen.append(student.ranges.running.clone())
        student.ranges.observing = epoch < settings.observe_epochs

    run(student, digits.train, None, settings.train, on_epoch=freeze)
    seen.append(student.ranges.running.clone())
    return student, seen


def test_the_ranges_move_while_they_are_observed_and_not_after(student_after):
    _, seen = student_after
    assert len(seen) == 4
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert torch.equal(seen[2], seen[3])


def test_the_trained_twin_is_the_twin_of_the_program_bit_for_bit(student_after, digits):
    student, _ = student_after
    images = to_float(digits.test.images)
    with torch.inference_mode():
        trained = student.eval()(images)
        program = student.program()
        assert torch.equal(trained, twin(program)(images))
        assert torch.equal(trained, trainable_twin(program).eval()(images))


def test_epochs_of_frozen_ranges_leave_the_grids(lenet, digits):
    calibrated = ptq(lenet, digits.train, target="server", settings=SHORT.calibration)
    program, moved = (
        qat(lenet, digits.train, None, target="server", settings=SHORT.replace(observe_epochs=epochs))
        for epochs in (0, 1)
    )
    assert grids(program) == grids(calibrated)
    assert grids(moved) != grids(calibrated)
    assert not torch.equal(program.tensors["body.9.weight"], calibrated.tensors["body.9.weight"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(lenet, digits, tmp_path):
    few = digits.train.select(torch.arange(96))
    programs = [qat(lenet, few, None, target="server", settings=SHORT, seed=seed) for seed in (0, 0, 1)]
    first, same, other = (saved(program, tmp_path) for program in programs)
    assert first == same
    assert first != other
    weights = [program.tensors["body.9.weight"] for program in programs]
    assert not torch.equal(weights[0], weights[2])


class KilledError(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_was_killed_twice_goes_on_to_the_same_program(original, digits, qat_result, settings, tmp_path):
    told = []

    def killed_at(step):
        def kill(task, done, total, note=""):
            if task == "qat":
                told.append(done)
                if done == step:
                    raise KilledError

        return kill

    def go_on(progress):
        told.clear()
        given = (original, digits.train, digits.test)
        checkpoint = tmp_path / "checkpoint.pt"
        return run_qat(*given, target="mobile", settings=settings, checkpoint=checkpoint, progress=progress)

    with pytest.raises(KilledError):
        go_on(killed_at(STEPS + 5))
    with pytest.raises(KilledError):
        go_on(killed_at(2 * STEPS + 5))  # The ranges are frozen by now.
    assert told[0] == STEPS + 1
    program, history = go_on(killed_at(None))
    assert told[0] == 2 * STEPS + 1
    assert saved(program, tmp_path) == saved(qat_result.program, tmp_path)
    assert history == qat_result.history


def test_a_checkpoint_of_another_run_is_not_taken(lenet, digits, tmp_path):
    few = digits.train.select(torch.arange(64))
    qat(lenet, few, None, target="server", settings=SHORT, checkpoint=tmp_path / "checkpoint.pt")
    with pytest.raises(errors.StoreError, match="belongs to a run with other settings"):
        qat(lenet, few, None, target="server", settings=SHORT, learning_rate=0.5, checkpoint=tmp_path / "checkpoint.pt")


def coarse(lenet):
    """Leave the float answers as they are and make the steps of a layer 220 times as coarse: most weights round to 0.

    The first unit of the layer before is always 0, and all units read it with a large weight.
    """
    model = copy.deepcopy(lenet)
    with torch.no_grad():
        model.body[7].bias[0] = -100
        model.body[9].weight[:, 0] = 220 * model.body[9].weight.abs().amax(1)
    return model


def test_qat_mends_what_ptq_breaks(lenet, digits):
    model = coarse(lenet)
    images, labels = digits.train.images, digits.train.labels
    training = TrainSettings(epochs=4, batch_size=32, learning_rate=0.01, device="cpu")

    def loss(program):
        return float(F.cross_entropy(twin_scores(twin(program), images), labels))

    broken = loss(ptq(model, digits.train, target="server"))
    mended = loss(qat(model, digits.train, None, target="server", settings=QatSettings(train=training)))
    assert broken > 0.1
    assert mended < 0.2 * broken


def test_bfloat16_trains_a_float32_program(lenet, digits):
    few = digits.train.select(torch.arange(64))
    program = qat(lenet, few, None, target="server", settings=SHORT, precision="bfloat16")
    answers = twin_scores(twin(program), few.images)
    assert answers.dtype == torch.float32
    assert answers.isfinite().all()


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_share_is_held_out_for_validation(lenet, calibration, target):
    notes = []
    program = qat(
        lenet,
        calibration,
        0.25,
        target=target,
        settings=SHORT,
        progress=lambda task, done, total, note="": notes.append(note),
    )
    assert "validation" in notes[-1]
    assert program.target == target


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"compile": True}, errors.RecipeError, "qat does not take compile=True"),
        ({"target": "servr"}, errors.RecipeError, "unknown target 'servr'; did you mean 'server'"),
        ({"epoch": 3}, errors.RecipeError, "did you mean 'epochs'"),
        ({"epochs": 0}, errors.RecipeError, "epochs is 0; it must be greater than 0"),
    ],
)
def test_wrong_input_is_one_line(original, calibration, fields, kind, text):
    with pytest.raises(kind, match=text) as caught:
        qat(original, calibration, None, settings=SHORT, **fields)
    assert "\n" not in str(caught.value)


def test_the_targets_are_listed():
    assert adapt.TARGETS == ("mobile", "server", "fbgemm", "qnnpack")


@pytest.mark.parametrize("rate", [1e3, 1e12, 1e38])
@pytest.mark.parametrize("defence", [None, adapt.Divqat(alpha=0.1), adapt.MisleadingTargets(), "float"])
def test_a_training_that_diverges_is_one_line(lenet, digits, rate, defence):
    few = digits.train.select(torch.arange(96))
    settings = SHORT.replace(train=SHORT.train.replace(learning_rate=rate, epochs=8))

    def train():
        if defence is None:
            return qat(lenet, few, None, target="server", settings=settings)
        if defence == "float":
            return adapt.finetune(lenet, few, None, settings=settings.train)
        return adapt.run_hardened(lenet, few, None, target="server", defence=defence, settings=settings)

    with pytest.raises(errors.ModelError, match=r"at (the end of )?epoch .*: training diverged; set a learn") as found:
        train()
    assert "\n" not in str(found.value)
