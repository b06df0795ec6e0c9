"""What holds for builds of every runtime: how they are chosen, opened and refused."""

import importlib
import importlib.util
import sys
from dataclasses import replace

import pytest
import torch
from made_networks import AVERAGE, clamps, flat, layers, pools, random_images, residual

from edgerift.deploy import RUNTIMES, build, fidelity, find_runtime, leaves_program, open_build, twin, twin_scores
from edgerift.deploy.builds import _survival
from edgerift.deploy.builds._departure import departure
from edgerift.deploy.builds._faithful import images_to_compare, require_faithful
from edgerift.deploy.builds._opened import in_batches
from edgerift.deploy.runtimes.onnxruntime._build import OnnxRuntimeEngine
from edgerift.deploy.twins import _onnx_graph
from edgerift.deploy.twins._answers import answers_of, output_step
from edgerift.errors import BuildError, MissingRuntimeError, RecipeError

PROBE = _survival._probe.__file__


def test_an_unknown_runtime_is_named():
    with pytest.raises(RecipeError, match="did you mean 'executorch'"):
        find_runtime("executorh")


def test_a_runtime_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingRuntimeError, match=r"pip install 'edgerift\[onnxruntime\]'"):
        find_runtime("onnxruntime")


def test_a_missing_file_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(BuildError, match="edgerift adapt"):
        open_build(tmp_path / "model.pte")


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(BuildError) as raised:
        open_build(tmp_path / "model.bin")
    assert all(entry.suffix in str(raised.value) for entry in RUNTIMES.parts())


def test_machine_code_is_not_opened_without_trust(tmp_path):
    (tmp_path / "model.pt2").write_bytes(b"x")
    with pytest.raises(BuildError, match="--trust"):
        open_build(tmp_path / "model.pt2")


def test_batches_are_cut_and_checked():
    images = torch.zeros(10, 3, 4, 4, dtype=torch.uint8)
    assert [len(part) for part in in_batches(images, 4)] == [4, 4, 2]
    with pytest.raises(BuildError, match="uint8"):
        in_batches(images.float())


def test_batches_lie_in_memory_as_runtimes_read_it():
    images = torch.zeros(4, 3, 4, 4, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    assert all(part.is_contiguous() for part in in_batches(images, 3))


def averaged(maker):
    """An average over windows that reach beyond the image, between two convolutions."""
    first = maker.rounded(maker.convolution(maker.rounded("image"), 6, kernel=3))
    second = maker.rounded(
        maker.convolution(maker.rounded(maker.call(AVERAGE, first, [3, 3], [2, 2], [0, 0], True)), 6)
    )
    return maker.rounded(maker.linear(flat(maker, second), 5))


@pytest.fixture
def onnxruntime():
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    return pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("given", [False, True], ids=["made", "given"])
def test_a_build_that_lost_an_argument_is_not_written_and_its_layer_is_named(
    make_program, onnxruntime, monkeypatch, tmp_path, given
):
    """The exporter drops what an average is told about the border, unless it is spelled out before."""
    monkeypatch.setattr(_onnx_graph, "_place_windows", lambda _module, _node: None)
    maker = make_program()
    program = maker.program(averaged(maker))
    images = random_images(16) if given else None
    with pytest.raises(
        BuildError, match=r"% of labels differ on \d+ images.*begins at 'step_6' \(aten.avg_pool2d"
    ) as raised:
        build(program, "onnxruntime", tmp_path / "new" / "model.onnx", images=images)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_failing_build_leaves_the_one_that_was_there(make_program, onnxruntime, monkeypatch, tmp_path):
    monkeypatch.setattr(_onnx_graph, "_place_windows", lambda _module, _node: None)
    maker = make_program()
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the old one")
    with pytest.raises(BuildError):
        build(maker.program(averaged(maker)), "onnxruntime", path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_the_weights_of_the_wrong_layer_are_found(make_program):
    """A build whose second layer has lost its sign: everything behind it is wrong, it alone reads right values."""
    maker = make_program()
    program = maker.program(layers(maker))
    broken = program.with_tensors({"layer_4.weight": -program.tensors["layer_4.weight"]})
    images = images_to_compare(program, None)

    def answer(part):
        return answers_of(replace(broken, output=part.output).module(), images)

    with pytest.raises(BuildError, match="begins at layer 'layer_4'"):
        require_faithful(program, answer, answer(program), images, "xnnpack")


@pytest.mark.parametrize("arithmetic", ["xnnpack", "onnxruntime"])
@pytest.mark.parametrize("network", [layers, residual, clamps, pools])
def test_rounding_is_no_departure_and_a_shuffled_answer_is_one(make_program, network, arithmetic):
    maker = make_program(dyadic=True)
    program = maker.program(network(maker))
    images = images_to_compare(program, None)
    model = twin(program, arithmetic)
    answers = twin_scores(model, images)
    near = departure(program, answers, images, model)
    assert (near.rms, near.equal_logits) == (0.0, 1.0)
    assert not leaves_program(near)
    moved = answers + output_step(program) * (torch.arange(answers.numel()).view_as(answers) % 2)
    assert not leaves_program(departure(program, moved, images, model))
    for wrong in (answers.roll(1, 0), answers.roll(1, 1), answers * float("nan"), torch.zeros_like(answers)):
        assert leaves_program(departure(program, wrong, images, model))
    off = departure(program, answers + output_step(program) / 100, images, model)
    assert off.off_grid == pytest.approx(0.01, rel=0.1)
    assert leaves_program(off)


@pytest.fixture
def stranger(build_once, onnxruntime, monkeypatch, tmp_path):
    """A build that this process has not made, and the file of the script that tries it first."""
    _, made = build_once("onnxruntime", averaged)
    assert open_build(made.path).fingerprint() == made.fingerprint()  # What was made here needs no child.
    model = importlib.import_module("onnx").load(made.path)
    model.producer_name = str(tmp_path)
    path, script = tmp_path / "other.onnx", tmp_path / "probe.py"
    path.write_bytes(model.SerializeToString())
    monkeypatch.setattr(_survival._probe, "__file__", str(script))
    return path, script


ENDED = "import os, signal, time\nos.kill(os.getpid(), signal.{})\ntime.sleep(60)\n"

#: What the child does, and what is said of it.
CHILDREN = {
    "broken": (
        "import os\nos.abort()\n",
        r"ends the process that opens it \(SIGABRT in onnxruntime\); the file is damaged",
    ),
    "killed": (ENDED.format("SIGKILL"), r"\(SIGKILL ended it from outside, as the system does where memory is short\)"),
    "interrupted": (ENDED.format("SIGINT"), r"could not be tried .* \(SIGINT ended it from outside\); open it again"),
    "without runtime": (
        "import sys\nsys.stderr.write('noise\\nImportError: no libx\\n')\nsys.exit(82)\n",
        "onnxruntime cannot be imported: ImportError: no libx",
    ),
    "no interpreter": ("raise SystemError('no disk')\n", "ended with status 1: SystemError: no disk"),
    "changing": (
        "import sys\nopen(sys.argv[2], 'ab').write(b' ')\nsys.exit(80)\n",
        "other.onnx changed while it was opened",
    ),
}


@pytest.mark.parametrize(("child", "message"), CHILDREN.values(), ids=list(CHILDREN))
def test_a_child_that_did_not_open_the_file_says_why_in_one_line(stranger, child, message):
    path, script = stranger
    script.write_text(child)
    for _ in range(2):  # What was not tried is not known the next time.
        with pytest.raises(BuildError, match=message) as raised:
            open_build(path)
        assert "\n" not in str(raised.value)
        assert ("is damaged" in str(raised.value)) == ("SIGABRT" in message)


def test_a_whole_artefact_is_tried_once_with_the_threads_of_this_process(stranger, tmp_path):
    path, script = stranger
    log = tmp_path / "log"
    script.write_text(f"import sys\nwith open({str(log)!r}, 'a') as file:\n    file.write(sys.argv[3])\nsys.exit(80)\n")
    for _ in range(2):
        open_build(path)
    assert log.read_text() == str(torch.get_num_threads())


def test_what_a_child_cannot_import_is_not_taken_for_a_whole_file(stranger, monkeypatch):
    path, _ = stranger
    monkeypatch.setattr(_survival._probe, "__file__", PROBE)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [])
        with pytest.raises(BuildError, match=r"cannot be imported: ModuleNotFoundError: .*'onnxruntime'"):
            open_build(path)
    assert len(open_build(path).predict(random_images(3))) == 3


def test_what_tries_a_file_opens_it_as_a_build_does(stranger, onnxruntime, monkeypatch):
    path, _ = stranger
    seen = []

    def session(model, options, providers):
        seen.append((options.intra_op_num_threads, options.graph_optimization_level, providers))
        raise ValueError

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    opening = str(RUNTIMES["onnxruntime"].opening)
    assert _survival._probe.probe(opening, str(path), torch.get_num_threads()) == _survival._probe.REFUSED
    with pytest.raises(BuildError):
        OnnxRuntimeEngine(path)
    assert len(seen) == 2
    assert seen[0] == seen[1]


class OffByLevels:
    """A build that answers as the twin does, moved by whole levels for some logits."""

    runtime = "executorch"

    def __init__(self, model, step, images_moved):
        self.model, self.step, self.moved = model, step, images_moved

    def predict(self, images):
        scores = self.model(images / 255).detach().clone()
        scores[: self.moved, 0] += 2 * self.step
        return scores


def test_fidelity_counts_logits_levels_and_labels(make_program):
    maker = make_program()
    program = maker.program(layers(maker))
    model = twin(program, "xnnpack")
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    step = output_step(program)
    found = fidelity(program, OffByLevels(model, step, 5), images)
    before = model(images / 255)
    after = OffByLevels(model, step, 5).predict(images)
    assert found.equal_logits == pytest.approx(1 - 5 / before.numel())
    assert found.max_lsb == pytest.approx(2.0, abs=1e-4)
    assert found.label_disagreement == pytest.approx((before.argmax(1) != after.argmax(1)).double().mean().item())


def test_fidelity_of_no_images_is_refused(make_program):
    maker = make_program()
    program = maker.program(layers(maker))
    with pytest.raises(RecipeError, match="at least one image"):
        fidelity(program, OffByLevels(None, 1.0, 0), torch.zeros(0, 3, 16, 16, dtype=torch.uint8))
