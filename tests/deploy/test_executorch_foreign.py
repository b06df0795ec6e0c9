"""Files for ExecuTorch that other tools made: judged, and followed by a twin of their own."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_pte import SIZE, Moved, Residual, Softened, Upwards, export_pte, seeded
from made_networks import branches, clamps, flat, layers, random_images, residual, stem
from torch import nn

from edgerift import Pair
from edgerift.deploy import RUNTIMES, fidelity, inspect_build, open_build, own_twin, quiet, twin
from edgerift.deploy.runtimes.executorch._file import plans
from edgerift.errors import EdgeriftError, ModelError
from edgerift.images import to_float

with quiet():
    pytest.importorskip("executorch", reason="ExecuTorch is not installed")

Export = Callable[..., Path]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Export a network once, however often it is asked for."""
    known: dict[Any, Path] = {}

    def look_up(kind: type[nn.Module], **options: Any) -> Path:
        chosen = (kind, *sorted(options.items()))
        if chosen not in known:
            path = tmp_path_factory.mktemp("exported") / "model.pte"
            known[chosen] = export_pte(seeded(kind), path, **options)
        return known[chosen]

    return look_up


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param(Residual, {}, id="per channel"),
        pytest.param(
            Residual,
            {"batch": 3, "free": True, "per_channel": False},
            id="per tensor, a free batch",
            marks=pytest.mark.slow,
        ),
        pytest.param(Moved, {"batch": 2}, id="moved, a batch of two", marks=pytest.mark.slow),
    ],
)
def test_a_file_of_another_tool_has_an_exact_twin(exported: Export, kind: type[nn.Module], options: Any) -> None:
    path = exported(kind, **options)
    build = open_build(path)
    batch = None if options.get("free") else options.get("batch", 1)
    assert (build.specification.input.batch, build.answers_alone) == (batch, False)
    near = fidelity(None, build, random_images(150, SIZE))
    assert near.arithmetic == "xnnpack"
    assert (near.equal_logits, near.max_lsb) == (1.0, 0.0)
    if kind is Residual:
        assert (own_twin(build).step or 0) > 0

    found = inspect_build(path)
    assert (found.no_twin, found.equal_logits, found.integer_macs) == ("", 1.0, 1.0)


@pytest.mark.slow
def test_images_are_fed_in_the_order_of_memory_that_the_file_was_exported_for(exported: Export) -> None:
    """The runtime does not look at it, and would take channels for rows."""
    shown = random_images(20, SIZE)
    plain, last = (
        open_build(exported(Residual, memory=memory)) for memory in (torch.contiguous_format, torch.channels_last)
    )
    assert torch.equal(plain.predict(shown), last.predict(shown))
    assert fidelity(None, last, shown).equal_logits == 1.0


@pytest.mark.slow
def test_the_grids_of_integer_ends_are_read_from_the_payload(exported: Export) -> None:
    """Images in [0, 1] on a grid of 255 levels are fed byte by byte; scores are the real numbers of their levels."""
    real, integer = open_build(exported(Residual)), open_build(exported(Residual, integer_ends=True))
    assert integer.specification.input.dtype == "int8"
    assert integer.specification.output.quantization is not None
    near = fidelity(None, integer, random_images(60, SIZE))
    assert near.equal_logits == 1.0
    assert torch.equal(integer.predict(random_images(60, SIZE)), real.predict(random_images(60, SIZE)))


def test_its_gradient_is_that_of_the_network_before_it_was_quantized(exported: Export) -> None:
    """Straight through all roundings."""
    original, near = seeded(Residual).eval(), own_twin(open_build(exported(Residual)))
    gradients = []
    for module in (original, near):
        shown = to_float(random_images(8, SIZE)).requires_grad_()
        module(shown)[:, 0].sum().backward()
        assert shown.grad is not None
        gradients.append(shown.grad.flatten())
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.9


def arithmetic(maker: Any) -> Any:
    """A product and a difference, which other quantizers leave in float."""
    source = stem(maker)
    other = maker.rounded(maker.convolution(source, 8))
    product = maker.rounded(maker.call("aten.mul.Tensor", source, other))
    return flat(maker, maker.rounded(maker.call("aten.sub.Tensor", product, other)))


@pytest.mark.parametrize(
    "network", [layers, residual, clamps, branches, pytest.param(arithmetic, marks=pytest.mark.slow)]
)
def test_our_own_file_says_what_our_own_program_computes(build_once: Any, network: Any) -> None:
    """Two ways to one twin: from the program, and from what its lowering made of it."""
    program, built = build_once("executorch", network, dyadic=network in (clamps, branches))
    shown = random_images(200)
    with torch.no_grad():
        own, known = (
            module(to_float(shown)) for module in (own_twin(open_build(built.path)), twin(program, "xnnpack"))
        )
    assert torch.equal(own, known)
    assert torch.equal(own, built.predict(shown))


def test_a_search_takes_the_gradients_of_the_file(exported: Export) -> None:
    pair = Pair(seeded(Residual).eval(), None, open_build(exported(Residual)))
    shown = random_images(20, SIZE)
    (adapted,) = pair.white_box().adapted
    with torch.no_grad():
        assert torch.equal(adapted(to_float(shown)), pair.build_scores(shown))


@pytest.mark.slow
def test_a_float_file_is_followed_nearly(exported: Export) -> None:
    near = fidelity(None, open_build(exported(Residual, quantized=False)), random_images(60, SIZE))
    assert (near.arithmetic, near.label_disagreement) == ("xnnpack", 0.0)
    assert near.max_lsb < 1e-5


@pytest.mark.slow
def test_gradients_are_taken_before_a_softmax(exported: Export) -> None:
    near = own_twin(open_build(exported(Softened)))
    shown = to_float(random_images(20, SIZE))
    scores = near.before_softmax(shown)
    torch.testing.assert_close(torch.softmax(scores, 1), near(shown).softmax(1) if near.step else near(shown))
    assert not torch.equal(scores, near(shown))


def test_what_has_no_translation_is_named(exported: Export) -> None:
    path = exported(Upwards, quantized=False)
    found = inspect_build(path)
    assert re.fullmatch(r"the operator XNNConvTranspose2d \(node \d\) has no translation", found.no_twin)
    assert found.equal_logits is None
    assert open_build(path).predict(random_images(5, SIZE)).shape[0] == 5


def damaged_copies(content: bytes, count: int) -> list[bytes]:
    """Copies that are cut off or have a few other bytes, most of them in the graphs and not in the weights."""
    source = random.Random(0)
    copies = [content[: len(content) * part // 20] for part in range(20)]
    for _ in range(count):
        copy = bytearray(content)
        for _ in range(source.choice((1, 1, 3, 30))):
            place = source.randrange(len(copy))
            copy[place] = source.choice((0, 255, 128, copy[place] ^ 1 << source.randrange(8)))
        copies.append(bytes(copy))
    return copies


def test_a_damaged_file_is_one_line(exported: Export, tmp_path: Path) -> None:
    """Translated without the runtime before it, which would refuse most of them."""
    told = []
    for content in damaged_copies(exported(Residual).read_bytes(), 150):
        (tmp_path / "model.pte").write_bytes(content)
        told.append(why_untranslated(tmp_path / "model.pte"))
    assert not any("\n" in line for line in told)
    assert sum(bool(line) for line in told) > 40


def why_untranslated(path: Path) -> str:
    translate = RUNTIMES["executorch"].translate
    assert translate is not None
    try:
        translate(path, None)
    except ModelError as error:
        return str(error)
    return ""


def test_a_file_that_leads_to_one_place_again_and_again_is_refused(tmp_path: Path, exported: Export) -> None:
    """A vector of tables that are all the same takes four bytes for each."""
    content = exported(Residual).read_bytes()
    count = 50_000
    # Program: a vtable of two fields, the second of which is the vector of plans; each plan is an empty table.
    vtable = b"\x08\0\x0c\0\0\0\x08\0"
    table = len(vtable).to_bytes(4, "little") + b"\0\0\0\0" + (4).to_bytes(4, "little")
    plan = b"\x04\0\x04\0" + (4).to_bytes(4, "little")
    head = (32 + len(vtable)).to_bytes(4, "little") + content[4:16]
    vector_at = 32 + len(vtable) + len(table)
    plan_at = vector_at + 4 + 4 * count + 4
    offsets = b"".join((plan_at - (vector_at + 4 + 4 * index)).to_bytes(4, "little") for index in range(count))
    body = vtable + table + count.to_bytes(4, "little") + offsets + plan
    size = 32 + len(body)
    header = head + size.to_bytes(8, "little") + size.to_bytes(8, "little")
    (tmp_path / "model.pte").write_bytes(header + body)
    with pytest.raises(EdgeriftError, match="damaged"):
        list(plans(tmp_path / "model.pte"))


def test_files_are_read_as_the_compiler_of_their_schema_reads_them(exported: Export, tmp_path: Path) -> None:
    """ExecuTorch ships `flatc`; its numbers are rounded, all else has to be the same."""
    import executorch

    root = Path(next(iter(executorch.__path__)))
    compiler = root / "data" / "bin" / "flatc"
    path = exported(Residual)
    content = path.read_bytes()
    (tmp_path / "program.bin").write_bytes(content[: int.from_bytes(content[16:24], "little")])
    flatc = str(compiler) if compiler.is_file() else shutil.which("flatc")
    if flatc is None:
        pytest.skip("ExecuTorch came without flatc")
    schema = root / "exir" / "_serialize" / "program.fbs"
    options = ["--json", "--defaults-json", "--strict-json", "-o", str(tmp_path)]
    subprocess.run([flatc, *options, str(schema), "--", str(tmp_path / "program.bin")], check=True)
    expected = json.loads((tmp_path / "program.json").read_text())["execution_plan"]

    found = [plan.content for plan in plans(path)]

    assert_contains(found, expected)


def assert_contains(found: Any, expected: Any) -> None:
    """What is left out of a file is left out of the expected text, or is null."""
    if isinstance(expected, dict):
        for name, entry in expected.items():
            assert_contains(found[name], entry)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_contains(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-6)
    else:
        assert found == expected
