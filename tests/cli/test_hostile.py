"""Documents and command lines that make no sense: an error of one line, and nothing else, whatever stands in them."""

import contextlib
import io
import json
import random
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_origin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_audit import made_audit
from made_hardening import made_hardening, made_theft
from made_networks import layers
from made_study import made_study
from mutations import arguments_of, bytes_of, header_of, json_of
from program_maker import ProgramMaker

from edgerift import zoo
from edgerift.audit import FindingFile, judge_baseline, read_audit, read_policy, replay
from edgerift.cli import main
from edgerift.cli._card import seed_of
from edgerift.cli._study import _read_result
from edgerift.deploy import Fingerprint, Program, Provenance
from edgerift.errors import EdgeriftError, StoreError
from edgerift.evade import Attack, Dropped, Evasion, read_png
from edgerift.extract import Theft
from edgerift.harden import Hardening
from edgerift.images import ImagesSettings
from edgerift.report import Card
from edgerift.steps import Store, pack, read, read_document, unpack
from edgerift.study import profile_names, read_study
from edgerift.train import Epoch, History, TrainRecipe, read_history, read_sealed, write_sealed

FINGERPRINT = Fingerprint(runtime="onnxruntime", version="1", sha256="0" * 64, processor="x", instructions="y")
STUDY = """
study: tiny
title: A study
seeds: [0, 1]
size: 12
data: {digits: {}}
originals: {LeNet: {model: lenet}}
train: {epochs: 3, batch_size: 64, learning_rate: 1e-2}
adapt: {epochs: 1}
calibration_images: 64
evasion:
  adaptations: [ptq]
  target: server
  attacks: {default: {preset: default, steps: 4}}
  count: 200
  shown: default
  pictured: []
profiles:
  small: {}
"""


class Kind(NamedTuple):
    """A kind of document: its name, one that is right, how it is made wrong, and who reads it."""

    name: str
    content: bytes
    change: Callable[[random.Random, bytes], bytes]
    read: Callable[[Path], object]


def as_json(draw: random.Random, content: bytes) -> bytes:
    return json_of(draw, json.loads(content)) if draw.random() < 0.8 else bytes_of(draw, content)


def as_yaml(draw: random.Random, content: bytes) -> bytes:
    import yaml

    return json_of(draw, yaml.safe_load(content)) if draw.random() < 0.6 else bytes_of(draw, content)


def as_lines(draw: random.Random, content: bytes) -> bytes:
    lines = content.splitlines()
    place = draw.randrange(len(lines))
    return b"\n".join([*lines[:place], as_json(draw, lines[place]), *lines[place + 1 :]])


def as_tensors(inner: str) -> Callable[[random.Random, bytes], bytes]:
    return lambda draw, content: header_of(draw, content, inner) if draw.random() < 0.8 else bytes_of(draw, content)


def written(write: Callable[[Path], object], folder: Path) -> bytes:
    write(folder / "one")
    return (folder / "one").read_bytes()


def evasion() -> Evasion:
    images, scores, count = (
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        torch.eye(2, 3),
        torch.zeros(2, dtype=torch.int64),
    )
    kinds = {
        "clean": images,
        "images": images,
        "last": images,
        "evasive": count > 0,
        "void": count > 0,
        "fooled": count > 0,
    }
    numbers = ("index", "labels", "first", "gradient_calls", "build_questions", "original_questions", "zero_gradients")
    answers = ("clean_original", "clean_build", "original", "build", "last_original", "last_build")
    return Evasion(
        attack=Attack(),
        data="digits",
        classes=("a", "b", "c"),
        dropped=Dropped(1, 2, 3),
        **{name: tensor.clone() for name, tensor in kinds.items()},
        **{name: count.clone() for name in numbers},
        **{name: scores.clone() for name in answers},
    )


def card() -> Card:
    figures = {name: {} for name, field in Card.model_fields.items() if get_origin(field.annotation) is dict}
    given = {"target": "mobile", "provenance": Provenance(method="ptq")}
    rest = {name: () for name, field in Card.model_fields.items() if get_origin(field.annotation) is tuple}
    return Card(data="digits", seed=0, images=9, **figures, **rest, **given)


def packed(folder: Path) -> bytes:
    (folder / "step" / "below").mkdir(parents=True)
    (folder / "step" / "below" / "a.txt").write_text("a")
    (folder / "step" / "recipe.json").write_text("{}")
    pack(folder / "step", folder / "one.tar", "recipe.json")
    return (folder / "one.tar").read_bytes()


def as_tar(draw: random.Random, content: bytes) -> bytes:
    """Damage a tar, or write one with an entry that makes no sense and a right checksum."""
    if draw.random() < 0.5:
        return bytes_of(draw, content)
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=draw.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    ) as archive:
        for _ in range(draw.randrange(1, 4)):
            entry = tarfile.TarInfo(
                draw.choice(("a", "../a", "/tmp/a", "", "a/b", "a" * 300, "a\x1b", ".", "a/../../b"))
            )
            entry.type = draw.choice(
                (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)
            )
            entry.linkname = "../b"
            entry.size = draw.choice((0, 0, 1, 2**33, 2**40))
            entry.pax_headers = {"path": "../c"} if draw.random() < 0.1 else {}
            archive.addfile(entry)
    return buffer.getvalue()


def unpacked(path: Path) -> None:
    """What is refused half way is removed by the store, so it is here."""
    import shutil

    try:
        unpack(path, path.with_name("unpacked"), "the result")
    except OSError:
        pass  # The store words what the disk refuses.
    finally:
        shutil.rmtree(path.with_name("unpacked"), ignore_errors=True)


@pytest.fixture(scope="module")
def kinds(session_folders: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Kind, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchao.quantization.pt2e  # noqa: F401
    folder = tmp_path_factory.mktemp("right")
    audit = made_audit(folder)
    samples = b"\n".join(json.dumps({"index": number, "evasive": number % 2 == 0}).encode() for number in range(5))
    finding = FindingFile(
        edgerift="0.1.0",
        finding=audit.evasion.findings[0],
        classes=audit.data.classes,
        original="original.safetensors",
        build="model.onnx",
        fingerprint=FINGERPRINT,
    )
    maker = ProgramMaker("mobile")
    program, network = maker.program(layers(maker)), zoo.create("lenet", classes=3, size=12)
    recipe = TrainRecipe(images=ImagesSettings(), architecture=network.architecture)
    history = History((Epoch(0.5, None, 0.4, 0.9, 0.1), Epoch(0.3, 0.8, None, None, 0.01)))

    def judged(path: Path) -> object:
        return judge_baseline(audit, samples.decode(), path)

    def with_samples(path: Path) -> object:
        (path.parent / "audit.json").write_text(audit.model_dump_json())
        path.rename(path.parent / "samples.jsonl")
        try:
            return judge_baseline(audit, samples.decode(), path.parent)
        finally:
            (path.parent / "samples.jsonl").rename(path)
            (path.parent / "audit.json").unlink()

    png = (folder / audit.evasion.findings[0].attacked_png).read_bytes()
    return (
        Kind("policy", b"evasive: 0.1\nerrors: 0\nstolen: null\nattacked: 10\n", as_yaml, read_policy),
        Kind("study", STUDY.encode(), as_yaml, lambda path: (profile_names(path), read_study(path, "small"))),
        Kind("baseline", audit.model_dump_json().encode(), as_json, judged),
        Kind("audit", audit.model_dump_json().encode(), as_json, read_audit),
        Kind("samples", samples, as_lines, with_samples),
        Kind("finding", finding.model_dump_json().encode(), as_json, replay),
        Kind("card", card().model_dump_json().encode(), as_json, seed_of),
        Kind("result", made_study().model_dump_json().encode(), as_json, _read_result),
        Kind("theft", made_theft().model_dump_json().encode(), as_json, lambda path: read_document(Theft, path)),
        Kind(
            "hardening",
            made_hardening().model_dump_json().encode(),
            as_json,
            lambda path: read_document(Hardening, path),
        ),
        Kind(
            "recipe",
            recipe.canonical_json().encode(),
            as_json,
            lambda path: read(path.read_bytes(), [TrainRecipe]),
        ),
        Kind("history", history.as_json().encode(), as_json, lambda path: read_history(path.read_bytes())),
        Kind(
            "checkpoint",
            written(lambda path: write_sealed(path, "mark-1", {"a": torch.zeros(3), "b": [1, "c"]}), folder),
            bytes_of,
            lambda path: read_sealed(path, "mark-1"),
        ),
        Kind("original", written(lambda path: zoo.save(network, path), folder), as_tensors("architecture"), zoo.load),
        Kind("program", written(program.save, folder), as_tensors("edgerift"), Program.load),
        Kind("search", written(evasion().save, folder), as_tensors("attack"), Evasion.load),
        Kind("mirrored", packed(folder), as_tar, unpacked),
        Kind("picture", png, bytes_of, read_png),
    )


def require_told(kind: Kind, seed: int, folder: Path) -> None:
    """Write a document with something wrong in it and have it read: it is taken, or refused in one line."""
    path = folder / f"{kind.name}.json"
    path.write_bytes(kind.change(random.Random(seed), kind.content))
    told = "taken"
    try:
        kind.read(path)
    except EdgeriftError as error:
        told = str(error)
    finally:
        path.unlink()
    assert told
    assert told.isprintable() or "\N{ZERO WIDTH JOINER}" in told or "\N{NO-BREAK SPACE}" in told, (seed, told)
    assert list(folder.iterdir()) == []


#: Small enough to be made wrong often.
NAMES = (
    *("policy", "study", "baseline", "audit", "samples", "finding", "card", "result", "theft", "hardening", "recipe"),
    *("history", "checkpoint", "original", "program", "search", "mirrored", "picture"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_with_something_wrong_in_it(kinds, tmp_path, name):
    (kind,) = (kind for kind in kinds if kind.name == name)

    @settings(max_examples=20, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def examine(seed: int) -> None:
        require_told(kind, seed, tmp_path)

    if name != "finding":  # Its picture and its models are not there.
        kind.read(right(kind, tmp_path))
    examine()


def right(kind: Kind, folder: Path) -> Path:
    path = folder.parent / f"{folder.name}-right.json"
    path.write_bytes(kind.content)
    return path


LINES = (
    "train --out OUT --data digits --model lenet --epochs 2 --seed 1 --size 16 --store STORE",
    "adapt --out OUT --original HERE/none.safetensors --method ptq --target mobile --runtime onnxruntime --json",
    "card HERE --seed 3 --data digits --size 32",
    "audit --adapted HERE --policy HERE/policy.yaml --baseline HERE --out OUT --threats evasion --steps 5 --images 9",
    "audit --original HERE/none.safetensors --attack pgd --epsilon 8 --stop goal --embed-class 3 --out OUT",
    "replay HERE/findings/a.json --original HERE/none.safetensors --build HERE/model.onnx",
    "extract --adapted HERE --queries HERE/none --budget 100 --labels hard --defence round:digits=2 --out OUT",
    "extract --attack dfme --directions 2 --latent 16 --change clone_steps=3 --out OUT --original HERE/none",
    "harden --out OUT --variants qat divqat --alpha 0.5 --l1-budget 0.4 --search-steps 2 --runtime executorch",
    "defend --out OUT --defence reverse-sigmoid:beta=0.1 --strengths 0.1 0.2 --steal --build HERE/model.onnx",
    "study plan HERE/study.yaml --profile small --details --json",
    "study run HERE/study.yaml --on processes --workers 2 --threads 1 --cpus 2 --out OUT",
    "study show HERE/study.yaml --result HERE/result.json --known HERE/result.json --out OUT",
    "study status HERE/study.yaml --mirror memory://x/y --data-root HERE --store STORE",
)


def require_refused(seed: int, folder: Path, out: Path) -> None:
    """Run a command line with something wrong in it: one line of plain text tells, and no file is left."""
    draw = random.Random(seed)
    words = [word.replace("HERE", str(folder)).replace("OUT", str(out)) for word in draw.choice(LINES).split()]
    arguments = arguments_of(draw, words)
    told, shown = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(shown):
        code = main(arguments)
    assert "internal error" not in told.getvalue(), (arguments, told.getvalue())
    assert "Traceback" not in told.getvalue() + shown.getvalue()
    if code == 2:
        line = told.getvalue().splitlines()[-1]
        assert line.startswith("edgerift: "), (arguments, told.getvalue())
        assert all(character.isprintable() for character in line), arguments
    assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.fixture
def nothing_computed(tmp_path, monkeypatch):
    """A place for command lines where no step runs, however much of them is right."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("no step runs in this test")

    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "study.yaml").write_text(STUDY)
    (tmp_path / "here" / "policy.yaml").write_text("evasive: 0.5\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(Store, "get", refuse)
    monkeypatch.setattr("edgerift.run.run_steps", refuse)
    monkeypatch.setattr("edgerift.study.collect", refuse)
    return tmp_path / "here", tmp_path / "work" / "out"


def test_a_command_line_with_something_wrong_in_it(nothing_computed):
    @settings(max_examples=30, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def examine(seed: int) -> None:
        require_refused(seed, *nothing_computed)

    examine()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_inputs_with_something_wrong_in_them(kinds, tmp_path, part):
    """In each part 150 of each of 18 kinds of document: 10,800 in all, and the command lines below."""
    for kind in kinds:
        for seed in range(150 * part, 150 * (part + 1)):
            require_told(kind, seed, tmp_path)


@pytest.mark.slow
def test_a_thousand_command_lines_with_something_wrong_in_them(nothing_computed):
    for seed in range(1000):
        require_refused(seed, *nothing_computed)
