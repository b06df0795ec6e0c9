"""LiteRT's three sets of kernels on one file: how far their twins and they themselves agree, and what asking costs.

    edgerift adapt --data digits --model resnet8 --method qat --target mobile --runtime litert --out DIR
    python benchmarks/litert.py --adapted DIR [--models resnet8 ...] [--images 256] [--out benchmarks/litert.json]
    python benchmarks/litert.py --add --models resnet18 --images 16    # rows alone, into benchmarks/litert.json
    python benchmarks/litert.py --table    # write the result into docs/runtimes.md

The networks are untrained, with batch normalisations that have seen the images, and quantized after training (ptq) for
the target mobile; their grids are calibrated on digits, and noise is answered. For each set of kernels: the share of
the logits that its twin and the runtime answer alike, and, beside the default kernels, the share of other logits, of
other labels and the largest difference in levels. ExecuTorch runs the same program, and its logits are compared with
those of the default kernels. Then the speed of a build's `predict` over that of the bare interpreter at the same
batch, and the CPU time of a search by the twin that the file gives over one by the program's twin.
Last, one file of a trained network: images that one set of kernels gets right and another gets wrong, found by the
default attack at epsilon 8 on the first 100 test images, with the twin of the one as the original of the other.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from builds import warmed
from stopwatch import in_turns, ratios
from tables import HERE, insert, read, table
from torch import Tensor

from edgerift import Pair, adapt, deploy, evade, images, zoo

MODELS: Final = ("lenet", "resnet8", "mobilenet_tiny", "densenet_tiny", "resnet18", "mobilenet_v2", "shufflenet_v2")
KERNELS: Final = tuple(deploy.with_kernels("litert", kernels) for kernels in ("default", "builtin", "reference"))
PAGE: Final = HERE.parent / "docs" / "runtimes.md"
MARKS: Final = ("<!-- benchmarks/litert.py -->", "<!-- end of litert -->")
_BATCH: Final = 64


def measure(name: str, train: images.ImageSet, noise: Tensor, folder: Path) -> dict[str, Any]:
    """Quantize one architecture, build it for each set of kernels and for ExecuTorch, and compare."""
    model = warmed(name, images.to_float(train.images[:64]))
    program = adapt.ptq(model, train, target="mobile", calibration_images=128)
    path = folder / f"{name}.tflite"
    row: dict[str, Any] = {}
    answers: dict[str, Tensor] = {}
    for runtime in KERNELS:
        build = deploy.build(program, runtime, path)
        near = deploy.fidelity(program, build, noise)
        answers[runtime] = build.predict(noise)
        row[runtime] = {
            "integer_macs": build.integer_macs(),
            "equal_logits": near.equal_logits,
            "max_lsb": near.max_lsb,
            "label_disagreement": near.label_disagreement,
            "and default": _apart(answers[runtime], answers[KERNELS[0]]),
        }
    other = deploy.build(program, "executorch", folder / f"{name}.pte").predict(noise)
    row["executorch and default"] = _apart(other, answers[KERNELS[0]])
    return row


def _apart(one: Tensor, two: Tensor) -> dict[str, float]:
    """How two answers differ, the largest difference in levels of their grid."""
    distances = (one - two).abs()
    values = two.unique()
    step = float((values[1:] - values[:-1]).min()) if len(values) > 1 else 1.0
    return {
        "other_logits": float((distances > 0).double().mean()),
        "other_labels": float((one.argmax(1) != two.argmax(1)).double().mean()),
        "largest_levels": float(distances.max()) / step,
    }


def speed(train: images.ImageSet, noise: Tensor, folder: Path, turns: int) -> dict[str, Any]:
    """Compare `predict` with the bare interpreter, which gets the same bytes as an app has them, channels last."""
    from ai_edge_litert.interpreter import Interpreter

    program = adapt.ptq(warmed("resnet8", images.to_float(train.images[:64])), train, calibration_images=128)
    path = folder / "speed.tflite"
    build = deploy.build(program, "litert", path)
    images_in_order = [
        part.permute(0, 2, 3, 1).contiguous().numpy() for part in noise.split(_BATCH) if len(part) == _BATCH
    ]
    whole = noise[: _BATCH * len(images_in_order)]
    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
    place, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(place, images_in_order[0].shape)
    interpreter.allocate_tensors()

    def bare() -> Tensor:
        found = []
        for part in images_in_order:
            interpreter.set_tensor(place, np.divide(part, 255, dtype=np.float32))
            interpreter.invoke()
            found.append(torch.from_numpy(interpreter.get_tensor(answer)))
        return torch.cat(found)

    seconds, found = in_turns({"bare": bare, "predict": lambda: build.predict(whole)}, turns)
    ratios = [one / other for one, other in zip(seconds["bare"], seconds["predict"], strict=True)]
    return {
        "images": len(whole),
        "images per second": len(whole) / statistics.median(seconds["predict"]),
        "predict over bare": statistics.median(ratios),
        "same answers": bool(torch.equal(found["bare"], found["predict"])),
    }


def search_cost(folder: Path, turns: int) -> dict[str, Any]:
    """Compare a search by the twin that the file gives with one by the program's twin; both judge on the same build."""
    test = images.load("digits").test.select(range(64))
    original, program = zoo.load(folder / "original.safetensors"), deploy.Program.load(folder / "program.safetensors")
    costs = {}
    for runtime in KERNELS:
        build = deploy.open_build(folder / "model.tflite", runtime)
        pairs = {"program": Pair(original, program, build), "file": Pair(original, None, build)}
        works = {
            name: functools.partial(evade.search, pair, test, steering=pair.white_box(), epsilon=8, stop="never")
            for name, pair in pairs.items()
        }
        for work in works.values():
            work(steps=1)
        seconds, found = in_turns(works, turns)
        costs[runtime] = {
            "file over program": ratios(seconds, "program")["file"],
            "milliseconds": {name: 1000 * statistics.median(times) / len(test) for name, times in seconds.items()},
            "same images": bool(torch.equal(found["program"].images, found["file"].images)),
        }
    return costs


def against(folder: Path) -> dict[str, Any]:
    """Attack each set of kernels where another one is right, on one file."""
    test = images.load("digits").test
    builds = {runtime: deploy.open_build(folder / "model.tflite", runtime) for runtime in KERNELS}
    answers = {runtime: build.predict(test.images) for runtime, build in builds.items()}
    rows = {}
    for right, wrong in itertools.permutations(KERNELS, 2):
        pair = Pair(deploy.own_twin(builds[right]), None, builds[wrong])
        rate = evade.search(pair, test.select(range(100)), epsilon=8).rate
        rows[f"{right} right, {wrong} wrong"] = {
            **_apart(answers[wrong], answers[right]),
            "evasive": [rate.value, rate.low, rate.high],
        }
    return rows


def add(names: list[str], count: int) -> None:
    """Measure networks and add their rows to the committed result."""
    train, _ = images.load("digits")
    result = read("litert.json")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(name, train, random_noise(count), Path(folder))
        print(name, json.dumps(row), flush=True)
        result["results"][name] = row if count == result["images"] else {**row, "images": count}
        (HERE / "litert.json").write_text(json.dumps(result, indent=2) + "\n")


def random_noise(count: int) -> Tensor:
    """Draw uint8 images of noise."""
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def written() -> str:
    """Lay the committed result out."""
    result = read("litert.json")
    rows = []
    for name, row in result["results"].items():
        for runtime in KERNELS:
            found, beside = row[runtime], row[runtime]["and default"]
            shares = (found["integer_macs"], found["equal_logits"], beside["other_logits"], beside["other_labels"])
            rows.append(
                [f"`{name}`, `{runtime}`", *(f"{share:.2%}" for share in shares), f"{beside['largest_levels']:.0f}"]
            )
    headings = ["network", "integer MACs", "twin: equal logits", "other logits", "other labels", "levels apart"]
    apart = {name: row["executorch and default"] for name, row in result["results"].items()}
    equal = [name for name, found in apart.items() if found["other_logits"] == 0]
    others = "".join(
        f" `{name}` differs in {found['other_logits']:.3%} of its logits, up to {found['largest_levels']:.0f} levels."
        for name, found in apart.items()
        if name not in equal
    )
    speed = result["speed"]
    kernels = table(
        ["one file of a trained ResNet-8", "other logits", "other labels", "evasive"],
        [
            [f"`{name}`", f"{row['other_logits']:.1%}", f"{row['other_labels']:.2%}", _with_interval(row["evasive"])]
            for name, row in result["kernels"].items()
        ],
    )
    return (
        "Networks of the zoo with random weights, adapted by `ptq` for `mobile`, on "
        f"{result['images']} images of noise{_fewer(result['results'])}: "
        "the share of logits that\nthe twin and the runtime answer alike, and how "
        "far the other kernels are from the "
        "default ones. Then one file of a ResNet-8\nthat was trained and adapted (`qat`) on digits: images that one "
        "set of kernels gets right and another one gets wrong, found by\nthe default attack at epsilon 8. Made by "
        "`python benchmarks/litert.py --adapted DIR`, then `--table`.\n\n"
        f"{table(headings, rows)}\n"
        f"ExecuTorch and LiteRT's default kernels answer alike, to the bit, for {len(equal)} of "
        f"{len(apart)} networks.{others} `predict` has {speed['predict over bare']:.2f} times the speed of the bare "
        f"interpreter ({speed['images per second']:,.0f} images per second, `resnet8`). A search by the twin that the "
        f"file gives takes {_listed(result['search'])} times as long as one by\n"
        "the program's twin, in CPU time.\n\n"
        f"{kernels}"
    )


def _fewer(rows: dict[str, Any]) -> str:
    """Name the networks that answered fewer images."""
    named = ", ".join(f"`{name}`: {row['images']}" for name, row in rows.items() if "images" in row)
    return f" ({named})" if named else ""


def _listed(searching: dict[str, Any]) -> str:
    return ", ".join(f"{costs['file over program']:.2f} (`{runtime}`)" for runtime, costs in searching.items())


def _with_interval(rate: list[float]) -> str:
    value, low, high = rate
    return f"{value:.1%} [{low:.1%}, {high:.1%}]"


def main() -> None:
    """Measure each network and the speed, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapted", type=Path)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if arguments.add:
        add(arguments.models, arguments.images)
        return
    if arguments.table or arguments.adapted is None:
        insert(PAGE, MARKS, written())
        return
    train, _ = images.load("digits")
    noise = random_noise(arguments.images)
    with tempfile.TemporaryDirectory() as folder:
        cost = speed(train, noise.repeat(max(1, 1024 // len(noise)), 1, 1, 1), Path(folder), arguments.turns)
        print(cost, flush=True)
        results = {}
        for name in arguments.models:
            results[name] = measure(name, train, noise, Path(folder))
            print(name, json.dumps(results[name]), flush=True)
    searching = search_cost(arguments.adapted, arguments.turns)
    print(json.dumps(searching), flush=True)
    rows = against(arguments.adapted)
    print(json.dumps(rows), flush=True)
    if arguments.out is not None:
        header = {"images": arguments.images, "speed": cost, "search": searching}
        arguments.out.write_text(json.dumps({**header, "results": results, "kernels": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
