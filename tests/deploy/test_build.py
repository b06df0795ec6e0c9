"""What holds for builds of every runtime: how they are chosen, opened and refused."""

import importlib.util

import pytest
import torch
from made_networks import layers

from edgerift.deploy import RUNTIMES, fidelity, find_runtime, open_build
from edgerift.deploy._build import in_batches
from edgerift.deploy._fidelity import output_step
from edgerift.errors import BuildError, MissingRuntimeError, RecipeError


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
    assert all(entry.suffix in str(raised.value) for entry in RUNTIMES.values())


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
    from edgerift.deploy import twin

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
