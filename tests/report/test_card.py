"""The card against NumPy on scores that are written by hand, its JSON, and its text."""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.stats import beta
from torch import Tensor, nn

from edgerift.deploy import Fingerprint, Operation, Program, Provenance, twin, twin_scores
from edgerift.errors import InputError, ModelError, RecipeError
from edgerift.images import ImageSet, ImageShape
from edgerift.report import Card, card_text, make_card
from edgerift.specification import Guard

CLASSES = 4
COUNT = 90  # More than a runtime's largest batch.


@dataclass(frozen=True)
class MadeBuild:
    """A build whose answers are the twin's, some of them pushed by whole steps of the output's grid."""

    runtime: str
    path: Path
    program: Program
    steps: Tensor

    def predict(self, images: Tensor) -> Tensor:
        scores = twin_scores(twin(self.program), images)
        # The first pixel of an image is its number.
        return scores + 0.05 * self.steps[images[:, 0, 0, 0].long()]

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(runtime=self.runtime, version="1.0", sha256="0" * 64, processor="none", instructions="none")

    def integer_macs(self) -> float:
        return 0.975


class Original(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.dropout(images.flatten(1) @ self.weight.T)


def program(weight: Tensor) -> Program:
    """One linear layer on int8 grids: image, weight and logits; the logits' step is 0.05."""
    scales = weight.abs().amax(1) / 127
    image, logits = [1 / 255, -128, -128, 127, {"dtype": "int8"}], [0.05, 0, -128, 127, {"dtype": "int8"}]
    parts = [{"tensor": f"linear.{part}"} for part in ("weight", "scale", "zero_point")]

    def step(name: str, operator: str, *arguments: object) -> Operation:
        return Operation(name=name, operator=operator, arguments=list(arguments))

    quantize, dequantize = (f"quantized_decomposed.{kind}_per_tensor.default" for kind in ("quantize", "dequantize"))
    operations = (
        step("w", "quantized_decomposed.dequantize_per_channel.default", *parts, 0, -127, 127, {"dtype": "int8"}),
        step("image_q", quantize, {"node": "image"}, *image),
        step("image_dq", dequantize, {"node": "image_q"}, *image),
        step("flat", "aten.flatten.using_ints", {"node": "image_dq"}, 1),
        step("linear", "aten.linear.default", {"node": "flat"}, {"node": "w"}),
        step("logits_q", quantize, {"node": "linear"}, *logits),
        step("logits_dq", dequantize, {"node": "logits_q"}, *logits),
    )
    tensors = {
        "linear.weight": (weight / scales[:, None]).round().to(torch.int8),
        "linear.scale": scales,
        "linear.zero_point": torch.zeros(CLASSES, dtype=torch.int64),
    }
    provenance = Provenance(method="ptq", settings={"seed": 0}, original="f" * 32)
    return Program(operations, tensors, "logits_dq", "mobile", CLASSES, ImageShape(3, 4, 4), "image", provenance)


@dataclass(frozen=True)
class Made:
    original: Original
    program: Program
    builds: dict[str, MadeBuild]
    test: ImageSet
    files: dict[str, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    draws = torch.Generator().manual_seed(5)
    folder = tmp_path_factory.mktemp("card")
    weight = torch.randn(CLASSES, 48, generator=draws) / 4
    images = torch.randint(0, 256, (COUNT, 3, 4, 4), generator=draws).to(torch.uint8)
    images[:, 0, 0, 0] = torch.arange(COUNT).to(torch.uint8)
    own = program(weight)
    original = Original(weight).eval()
    with torch.no_grad():
        labels = original(images / 255).argmax(1)
    labels[::7] = (labels[::7] + 1) % CLASSES
    steps = {name: torch.zeros(COUNT, CLASSES) for name in ("executorch", "onnxruntime")}
    steps["onnxruntime"][::5] = torch.randint(-40, 41, (COUNT // 5, CLASSES), generator=draws).float()
    steps["onnxruntime"][torch.arange(0, COUNT, 35), labels[::35]] = 90.0  # Right where the original is wrong.
    sizes = {"original": 1234567, "program": 4321, "executorch": 76543, "onnxruntime": 98765}
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(size))
    files = {name: folder / name for name in sizes}
    builds = {name: MadeBuild(name, files[name], own, pushed) for name, pushed in steps.items()}
    classes = tuple(f"class {number}" for number in range(CLASSES))
    test = ImageSet("made", images, labels, classes, "made-0")
    return Made(original.train(), own, builds, test, files)


@pytest.fixture(scope="module")
def card(made: Made) -> Card:
    return make_card(made.original, made.program, made.builds, made.test, files=made.files)


@pytest.fixture(scope="module")
def scores(made: Made) -> dict[str, np.ndarray]:
    """The answers of all four, with the twin's computed in NumPy from the program's tensors."""
    pixels = made.test.images.numpy().reshape(COUNT, -1)
    tensors = made.program.tensors
    levels = pixels @ tensors["linear.weight"].numpy().astype(np.float64).T
    exact = levels * tensors["linear.scale"].numpy() / 255
    on_grid = np.clip(np.rint(exact / 0.05), -128, 127) * 0.05
    return {
        "original": pixels / 255 @ made.original.weight.detach().numpy().astype(np.float64).T,
        "twin": on_grid,
        **{name: on_grid + 0.05 * build.steps.numpy() for name, build in made.builds.items()},
    }


def interval(successes: int) -> tuple[float, float]:
    low = beta.ppf(0.025, successes, COUNT - successes + 1) if successes else 0.0
    high = beta.ppf(0.975, successes + 1, COUNT - successes) if successes < COUNT else 1.0
    return pytest.approx((low, high))


def probabilities(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_the_case_is_not_a_trivial_one(card):
    assert 0.8 < card.accuracy["original"] < 0.9
    assert min(card.quadrants["onnxruntime"].values()) > 0
    assert card.agreement["onnxruntime"] < card.agreement["executorch"]


@pytest.mark.parametrize("name", ["original", "twin", "executorch", "onnxruntime"])
def test_accuracies_are_those_of_the_scores(card, scores, made, name):
    right = scores[name].argmax(1) == made.test.labels.numpy()
    assert card.accuracy[name] == pytest.approx(right.mean())
    assert card.accuracy_interval[name] == interval(int(right.sum()))


@pytest.mark.parametrize("name", ["twin", "executorch", "onnxruntime"])
def test_comparisons_are_those_of_the_scores(card, scores, made, name):
    labels, reference, compared = made.test.labels.numpy(), scores["original"], scores[name]
    first, second = reference.argmax(1) == labels, compared.argmax(1) == labels
    assert card.quadrants[name] == {
        "both_right": (first & second).sum(),
        "only_original_right": (first & ~second).sum(),
        "only_build_right": (~first & second).sum(),
        "both_wrong": (~first & ~second).sum(),
    }
    assert card.instability[name] == pytest.approx((first != second).mean())
    assert card.instability_interval[name] == interval(int((first != second).sum()))
    same = reference.argmax(1) == compared.argmax(1)
    assert card.agreement[name] == pytest.approx(same.mean())
    assert card.agreement_interval[name] == interval(int(same.sum()))
    distance = np.abs(probabilities(reference) - probabilities(compared)).sum(1).mean()
    assert card.l1[name] == pytest.approx(distance, rel=1e-4)


def test_fidelity_counts_logits_steps_and_labels(card, scores, made):
    steps = made.builds["onnxruntime"].steps.numpy()
    moved = scores["onnxruntime"].argmax(1) != scores["twin"].argmax(1)
    found = card.fidelity["onnxruntime"]
    assert found.arithmetic == "onnxruntime"
    assert found.equal_logits == pytest.approx((steps == 0).mean())
    assert found.max_lsb == pytest.approx(np.abs(steps).max(), abs=1e-3)
    assert found.label_disagreement == pytest.approx(moved.mean())
    exact = card.fidelity["executorch"]
    assert exact.model_dump() == {
        "arithmetic": "xnnpack",
        "equal_logits": 1.0,
        "max_lsb": 0.0,
        "label_disagreement": 0.0,
    }


def test_the_rest_is_taken_as_it_is(card, made):
    assert (card.data, card.images, card.target) == ("made", COUNT, "mobile")
    assert card.provenance == made.program.provenance
    assert card.integer_macs == {"executorch": 0.975, "onnxruntime": 0.975}
    assert card.size_bytes == {"original": 1234567, "program": 4321, "executorch": 76543, "onnxruntime": 98765}
    assert card.fingerprint["executorch"] == made.builds["executorch"].fingerprint()
    for values in (card.latency_ms, card.images_per_second):
        assert values.keys() == {"original", "executorch", "onnxruntime"}
        assert min(values.values()) > 0


def test_the_card_is_read_back_as_it_was_written(card):
    text = card.model_dump_json(indent=2)
    assert Card.model_validate_json(text) == card
    plain = json.loads(text)
    assert plain["type"] == "card"
    assert plain["fidelity"]["executorch"]["equal_logits"] == 1.0
    schema = Card.model_json_schema()
    assert set(plain) == set(schema["properties"]) - {"guarded", "sparsity"}
    assert set(schema["required"]) == set(plain) - {"type", "version", "mismatches", "codes"}


def test_a_guard_is_measured_on_the_answers_of_its_build(made, scores):
    threshold = float(np.median(np.diff(np.sort(scores["onnxruntime"], 1))[:, -1])) + 0.01
    guarded = replace(made.builds["onnxruntime"])
    object.__setattr__(guarded, "guard", Guard(threshold=threshold))
    card = make_card(made.original, made.program, {"onnxruntime": guarded}, made.test, files=made.files)
    (name, part), labels = next(iter(card.guarded.items())), made.test.labels.numpy()
    best = np.sort(scores["onnxruntime"], 1)
    answered = best[:, -1] - best[:, -2] >= threshold
    right = scores["onnxruntime"].argmax(1) == labels
    assert (name, part.coverage.successes, part.coverage.trials) == ("onnxruntime", answered.sum(), COUNT)
    assert (part.accuracy.successes, part.accuracy.trials) == ((answered & right).sum(), answered.sum())
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert "The build abstains where" in rendered(card, 120)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 2}, "version is 2; it must be 1"),
        ({"acuracy": {}}, "unknown field 'acuracy'; did you mean 'accuracy'"),
        ({"accuracy": {"twin": float("nan")}}, "twin"),
        ({"target": "mobil"}, "target is 'mobil'"),
    ],
)
def test_what_is_not_a_card_is_refused(card, changes, text):
    with pytest.raises(RecipeError, match=text) as caught:
        Card.model_validate({**card.model_dump(), **changes})
    assert "\n" not in str(caught.value)


def rendered(card: Card, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(card_text(card))
    return console.file.getvalue()


def shown(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f}\xa0%"


def test_the_text_tells_every_number_whole(card):
    text = rendered(card, 120)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 120
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    names = [row[0] for row in rows]
    assert names == ["original", "twin", "executorch", "onnxruntime", "original", "executorch", "onnxruntime"]
    answers, machines = dict(zip(names[:4], rows[:4], strict=True)), dict(zip(names[4:], rows[4:], strict=True))
    for name, row in answers.items():
        low, high = card.accuracy_interval[name]
        assert row[1:3] == [shown(card.accuracy[name], 2), f"{shown(low)} to {shown(high)}"]
    part = card.quadrants["onnxruntime"]
    assert answers["onnxruntime"][3:] == [
        shown(card.agreement["onnxruntime"], 2),
        str(part["only_original_right"]),
        str(part["only_build_right"]),
        f"{card.l1['onnxruntime']:.4f}",
    ]
    assert answers["original"][3:] == [""] * 4
    assert machines["original"][1] == "1234.6"
    speed = f"{card.images_per_second['onnxruntime']:,.0f}"
    found = card.fidelity["onnxruntime"]
    assert machines["onnxruntime"][1:] == [
        "98.8",
        f"{card.latency_ms['onnxruntime']:.3f}",
        speed,
        shown(0.975),
        shown(found.equal_logits, 2),
        f"{found.max_lsb:.1f}",
    ]
    assert text.startswith(f"ptq for mobile, {COUNT} test images of made")
    assert f"onnxruntime: {part['only_original_right']} of {COUNT} images are right on the original" in " ".join(
        text.split()
    )


def test_the_widest_numbers_fit_too(card):
    widest = card.replace(
        size_bytes=dict.fromkeys(card.size_bytes, 102_400_000),
        latency_ms=dict.fromkeys(card.latency_ms, 1234.567),
        images_per_second=dict.fromkeys(card.images_per_second, 1_234_567.0),
        accuracy=dict.fromkeys(card.accuracy, 1.0),
        accuracy_interval=dict.fromkeys(card.accuracy, (0.9999, 1.0)),
        quadrants=dict.fromkeys(card.quadrants, dict.fromkeys(card.quadrants["twin"], 26032)),
    )
    text = rendered(widest, 120)
    assert "…" not in text
    for number in ("102400.0", "1234.567", "1,234,567", "100.00\xa0%", "26032"):
        assert number in text


def test_progress_names_what_is_measured(made):
    told = []
    make_card(made.original, made.program, {}, made.test, files={}, progress=lambda *given: told.append(given))
    assert told == [("measure", 0, 2, "original"), ("measure", 1, 2, "twin"), ("measure", 2, 2)]


def test_an_original_with_other_classes_is_refused(made):
    weight = torch.zeros(CLASSES - 1, 48)
    with pytest.raises(InputError, match=r"\[90, 3\] and \[90, 4\] cannot be compared"):
        make_card(Original(weight), made.program, {}, made.test, files={})


class Coin(Original):
    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.dropout(images.flatten(1) @ self.weight.T)


def test_an_original_that_draws_has_no_card(made: Made) -> None:
    coin = Coin(made.original.weight.detach()).eval()
    with pytest.raises(ModelError, match="is not deterministic"):
        make_card(coin, made.program, made.builds, made.test, files=made.files)
