"""ExecuTorch builds and the twin with XNNPACK's rounding, bit for bit."""

import pytest
import torch
from made_networks import branches, clamps, flat, layers, pools, random_images, residual, stem

from edgerift.deploy import build, fidelity, open_build, quiet, twin
from edgerift.errors import BuildError, RecipeError

with quiet():
    pytest.importorskip("executorch", reason="ExecuTorch is not installed")

#: XNNPACK concatenates tensors of one grid alone, as its quantizer makes them; here only powers of two meet.
CASES = [
    pytest.param(
        network,
        dyadic,
        id=f"{network.__name__}{'-ties' if dyadic else ''}",
        marks=[] if dyadic or network in (layers, residual) else [pytest.mark.slow],
    )
    for network in (layers, residual, clamps, pools, branches)
    for dyadic in (False, True)
    if dyadic or network is not branches
]


@pytest.mark.parametrize(("network", "dyadic"), CASES)
def test_the_twin_equals_the_runtime_to_the_bit(build_once, network, dyadic):
    program, built = build_once("executorch", network, dyadic=dyadic)
    found = fidelity(program, built, random_images(400))
    assert found.arithmetic == "xnnpack"
    assert (found.equal_logits, found.max_lsb, found.label_disagreement) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("network", [layers, residual])
def test_the_converted_graph_breaks_ties_otherwise(build_once, network):
    """If it did not, the twin of XNNPACK would be no better than the graph's."""
    program, built = build_once("executorch", network, dyadic=True)
    found = fidelity(program, built, random_images(200), candidate=twin(program))
    assert 0 < found.max_lsb <= 3.01
    assert found.equal_logits < 0.999


@pytest.mark.parametrize(("network", "dyadic"), [case for case in CASES if case.values[0] is not pools])
def test_litert_gives_the_same_logits(build_once, network, dyadic):
    """Both run XNNPACK's kernels, and get the same biases; LiteRT takes no windows that are averaged in float."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    images = random_images(200)
    one, two = (build_once(runtime, network, dyadic=dyadic)[1].predict(images) for runtime in ("executorch", "litert"))
    assert torch.equal(one, two)


def test_answers_do_not_depend_on_the_batch(build_once):
    _, built = build_once("executorch", residual)
    images = random_images(150)
    whole = built.predict(images)
    assert whole.shape[0] == 150
    assert torch.equal(torch.cat([built.predict(image[None]) for image in images[:9]]), whole[:9])
    assert torch.equal(torch.cat([built.predict(part) for part in images.split(65)]), whole)


@pytest.mark.parametrize("network", [layers, residual])
def test_answers_do_not_depend_on_memory_layout(build_once, network):
    _, built = build_once("executorch", network)
    images = random_images(70)
    expected = built.predict(images)
    assert torch.equal(built.predict(images.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(built.predict(images.repeat_interleave(2, 0)[::2]), expected)
    assert torch.equal(built.predict(images.transpose(2, 3).contiguous().transpose(2, 3)), expected)


def test_a_build_opens_again_with_the_same_answers_and_fingerprint(build_once):
    _, built = build_once("executorch", layers)
    again = open_build(built.path)
    assert torch.equal(again.predict(random_images(5)), built.predict(random_images(5)))
    assert again.fingerprint() == built.fingerprint()
    assert again.fingerprint().runtime == "executorch"
    assert len(again.fingerprint().sha256) == 64


def test_all_of_it_runs_in_integers(build_once):
    assert build_once("executorch", residual)[1].integer_macs() == 1.0


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
        torch.zeros(1, 2, 16, 16, dtype=torch.uint8),
        torch.zeros(1, 3, 20, 20, dtype=torch.uint8),
    ],
)
def test_images_of_another_kind_are_refused(build_once, images):
    with pytest.raises(BuildError):
        build_once("executorch", layers)[1].predict(images)


def test_a_server_program_is_not_for_this_runtime(make_program, tmp_path):
    maker = make_program("server")
    with pytest.raises(RecipeError, match="takes target mobile"):
        build(maker.program(layers(maker)), "executorch", tmp_path / "model.pte")
    assert not list(tmp_path.iterdir())


def test_a_fixed_batch_is_filled_up(tmp_path):
    """A file that was exported for a batch of four, which it does not tell, answers any number of images."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 5)).eval()
    with quiet():
        from executorch.exir import to_edge

        exported = torch.export.export(model, (torch.zeros(4, 3, 4, 4),))
        (tmp_path / "fixed.pte").write_bytes(to_edge(exported).to_executorch().buffer)
    images = torch.randint(256, (9, 3, 4, 4), generator=torch.Generator().manual_seed(0)).byte()

    built = open_build(tmp_path / "fixed.pte")

    assert built.specification.input.batch == 4
    with torch.no_grad():
        torch.testing.assert_close(built.predict(images), model(images / 255))


def attending(maker):
    return maker.rounded(maker.call("aten.softmax.int", flat(maker, stem(maker)), 1))


@pytest.mark.parametrize(("network", "asked"), [(layers, []), (attending, ["attention"])])
def test_only_patterns_that_a_graph_can_hold_are_exported(make_program, monkeypatch, tmp_path, network, asked):
    with quiet():
        from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa
    seen = []
    monkeypatch.setattr(bilinear_2d, "get_graphs_dict", lambda: seen.append("resizing") or {})
    monkeypatch.setattr(sdpa, "get_graphs", lambda: seen.append("attention") or [])
    maker = make_program()
    build(maker.program(network(maker)), "executorch", tmp_path / "model.pte")
    assert sorted(set(seen)) == asked


@pytest.mark.slow
def test_each_pattern_holds_the_operator_by_which_graphs_are_told_apart():
    with quiet():
        from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa

        known = {"upsample_bilinear2d.vec": bilinear_2d.get_graphs(), "_softmax.default": sdpa.get_graphs()}
    for operator, patterns in known.items():
        assert patterns
        for pattern in patterns:
            calls = {str(node.target._op) for node in pattern.graph.nodes if node.op == "call_function"}
            assert f"aten.{operator}" in calls
