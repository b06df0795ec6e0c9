"""ExecuTorch builds and the twin with XNNPACK's rounding, bit for bit."""

import pytest
import torch
from made_networks import branches, clamps, layers, pools, residual

from edgerift.deploy import build, fidelity, open_build, quiet, twin
from edgerift.errors import BuildError, RecipeError

with quiet():
    pytest.importorskip("executorch", reason="ExecuTorch is not installed")

#: XNNPACK concatenates tensors of one grid alone, as its quantizer makes them; here only powers of two meet.
CASES = [
    pytest.param((network, dyadic), id=f"{network.__name__}{'-ties' if dyadic else ''}")
    for network in (layers, residual, clamps, pools, branches)
    for dyadic in (False, True)
    if dyadic or network is not branches
]


@pytest.fixture(scope="module")
def made(make_program, tmp_path_factory):
    """Build each case once: its program and its build."""
    known = {}

    def look_up(chosen):
        if chosen not in known:
            network, dyadic = chosen
            maker = make_program(dyadic=dyadic)
            program = maker.program(network(maker))
            known[chosen] = program, build(program, "executorch", tmp_path_factory.mktemp("builds") / "model.pte")
        return known[chosen]

    return look_up


def random_images(count, seed=7):
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("chosen", CASES)
def test_the_twin_equals_the_runtime_to_the_bit(made, chosen):
    program, built = made(chosen)
    found = fidelity(program, built, random_images(400))
    assert found.arithmetic == "xnnpack"
    assert (found.equal_logits, found.max_lsb, found.label_disagreement) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("network", [layers, residual])
def test_the_converted_graph_breaks_ties_otherwise(made, network):
    """If it did not, the twin of XNNPACK would be no better than the graph's."""
    program, built = made((network, True))
    found = fidelity(program, built, random_images(200), candidate=twin(program))
    assert 0 < found.max_lsb <= 3.01
    assert found.equal_logits < 0.999


def test_answers_do_not_depend_on_the_batch(made):
    _, built = made((residual, False))
    images = random_images(150)
    whole = built.predict(images)
    assert whole.shape[0] == 150
    assert torch.equal(torch.cat([built.predict(image[None]) for image in images[:9]]), whole[:9])
    assert torch.equal(torch.cat([built.predict(part) for part in images.split(65)]), whole)


def test_a_build_opens_again_with_the_same_answers_and_fingerprint(made):
    _, built = made((layers, False))
    again = open_build(built.path)
    assert torch.equal(again.predict(random_images(5)), built.predict(random_images(5)))
    assert again.fingerprint() == built.fingerprint()
    assert again.fingerprint().runtime == "executorch"
    assert len(again.fingerprint().sha256) == 64


def test_all_of_it_runs_in_integers(made):
    assert made((residual, False))[1].integer_macs() == 1.0


@pytest.mark.parametrize("content", [b"", b"not a program", b"\0" * 4096])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "model.pte"
    path.write_bytes(content)
    with pytest.raises(BuildError, match=r"cannot load .*model\.pte") as raised:
        open_build(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 16, 16),
        torch.zeros(3, 16, 16, dtype=torch.uint8),
        torch.zeros(1, 1, 16, 16, dtype=torch.uint8),
        torch.zeros(1, 3, 20, 20, dtype=torch.uint8),
    ],
)
def test_images_of_another_kind_are_refused(made, images):
    with pytest.raises(BuildError):
        made((layers, False))[1].predict(images)


def test_a_server_program_is_not_for_this_runtime(make_program, tmp_path):
    maker = make_program("server")
    with pytest.raises(RecipeError, match="takes target mobile"):
        build(maker.program(layers(maker)), "executorch", tmp_path / "model.pte")
    assert not list(tmp_path.iterdir())
