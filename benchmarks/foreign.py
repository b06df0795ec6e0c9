"""int8 ONNX files of other tools: what edgerift makes of each, and what it costs.

    python benchmarks/foreign_files.py FILES
    python benchmarks/foreign.py FILES [--images 100] [--turns 5] [--out benchmarks/foreign.json]
    python benchmarks/foreign.py FILES --costs --out benchmarks/foreign.json    # measure the costs alone
    python benchmarks/foreign.py --table    # write the result into docs/runtimes.md

The first command makes the files, in an environment that has the tools (see there). For each file: whether it opens,
its accuracy, the share of multiply-accumulates in integer kernels, the share of the logits in which its own twin and
ONNX Runtime are equal, and how many images evade the default attack, with the float file as original. Then the cost, in
CPU time on one thread, as a ratio within one run: opening a large file and its twin against ONNX Runtime's own session,
and a search on a file against the same search on a program of edgerift of the same network.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from stopwatch import in_turns
from tables import HERE, insert, read, table

from edgerift import Pair, adapt, deploy, evade, images, zoo
from edgerift.errors import EdgeriftError

TRAINED: Final = 1200
PAGE: Final = HERE.parent / "docs" / "runtimes.md"
MARKS: Final = ("<!-- benchmarks/foreign.py -->", "<!-- end of foreign -->")


def measured(path: Path, original: torch.nn.Module, test: images.ImageSet, count: int) -> dict[str, Any]:
    """Open, judge and attack one file."""
    try:
        build = deploy.open_build(path)
        answers = build.predict(test.images)
    except EdgeriftError as error:
        return {"opens": False, "error": str(error)}
    row: dict[str, Any] = {
        "opens": True,
        "accuracy": float((answers.argmax(1) == test.labels).double().mean()),
        "integer_macs": build.integer_macs(),
        "no_twin": deploy.why_no_twin(build),
    }
    if row["no_twin"]:
        return row
    near = deploy.fidelity(None, build, test.images)
    found = evade.search(Pair(original, None, build), test.select(range(count)), epsilon=8)
    return {
        **row,
        "equal_logits": near.equal_logits,
        "max_lsb": near.max_lsb,
        "other_labels": near.label_disagreement,
        "evasive": found.rate.value,
        "evasive_low": found.rate.low,
        "evasive_high": found.rate.high,
        "attacked": len(found),
    }


def opening_cost(folder: Path, turns: int) -> dict[str, Any]:
    """Compare opening a file of 25 MB and its twin with a session of ONNX Runtime."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left: Final = [{"images": torch.rand(2, 3, 64, 64).numpy()}]

        def get_next(self) -> dict[str, Any] | None:
            return self.left.pop() if self.left else None

    model = zoo.create("resnet50", 1000, size=64, stem="imagenet").eval()
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, 64, 64),),
        str(folder / "float.onnx"),
        dynamo=True,
        dynamic_shapes=({0: batch},),
        external_data=False,
        input_names=["images"],
        verbose=False,
    )
    path = folder / "large.onnx"
    quantize_static(
        str(folder / "float.onnx"),
        str(path),
        Reader(),
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )

    def session() -> object:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    deploy.open_build(path)  # The first one of a file is tried in a process of its own.
    works = {
        "session": session,
        "build": lambda: deploy.open_build(path),
        "build and twin": lambda: deploy.own_twin(deploy.open_build(path)),
    }
    seconds, _ = in_turns(works, turns)
    base = seconds["session"]
    return {
        "bytes": path.stat().st_size,
        "session_seconds": statistics.median(base),
        **{
            f"{name}, over session": statistics.median(
                one / other for one, other in zip(seconds[name], base, strict=True)
            )
            for name in ("build", "build and twin")
        },
    }


def search_cost(folder: Path, turns: int) -> dict[str, Any]:
    """Compare a search on an ONNX file, through its own twin, with the same file as the build of a program."""
    train, test = images.load("digits")
    few = test.select(range(64))
    model = zoo.create("resnet8", 10).eval()
    program = adapt.ptq(model, train, target="server", calibration_images=128)
    build = deploy.build(program, "onnxruntime", folder / "program.onnx")
    steering = {
        "program": Pair(model, program, build).white_box(),
        "file": Pair(model, None, build).white_box(),
    }
    pair = Pair(model, None, build)
    settings: dict[str, Any] = {"steps": 10, "stop": "never", "eligible_only": False}
    works = {
        name: lambda steer=steer: evade.search(pair, few, "pair-margin", steering=steer, **settings)
        for name, steer in steering.items()
    }
    seconds, found = in_turns(works, turns)
    ratios = [file / program for file, program in zip(seconds["file"], seconds["program"], strict=True)]
    return {
        "file over program": statistics.median(ratios),
        "same images": bool(torch.equal(found["file"].images, found["program"].images)),
    }


def written() -> str:
    """Lay the committed result out."""
    result = read("foreign.json")
    rows = []
    for name, row in result["files"].items():
        evasive = f"{row['evasive']:.1%} [{row['evasive_low']:.1%}, {row['evasive_high']:.1%}]"
        shares = (row["accuracy"], row["integer_macs"], row["equal_logits"], row["other_labels"])
        rows.append([name, *(f"{share:.2%}" for share in shares), f"{row['max_lsb']:.2g}", evasive])
    headings = ["file", "accuracy", "integer MACs", "equal logits", "other labels", "largest difference", "evasive"]
    opening, search = result["opening"], result["search"]
    build, both = opening["build, over session"], opening["build and twin, over session"]
    return (
        f"{table(headings, rows)}\n"
        f"Opening a file of {opening['bytes'] / 1e6:.0f} MB takes {build:.1f} times the CPU time of a session of ONNX "
        f"Runtime ({opening['session_seconds']:.2f} s), with its twin {both:.1f} times. A search on a file costs "
        f"{search['file over program']:.2f} times the same search on a program of edgerift of the same network."
    )


def main() -> None:
    """Measure every file of a folder and the costs, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="?")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--costs", action="store_true", help="measure the costs alone, and keep the rest of --out")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.table or arguments.files is None:
        insert(PAGE, MARKS, written())
        return
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    data = np.load(arguments.files / "digits.npz")
    shown, labels = torch.from_numpy(data["images"])[TRAINED:], torch.from_numpy(data["labels"])[TRAINED:].long()
    test = images.ImageSet("digits-28", shown, labels, tuple("0123456789"), fingerprint="digits-28")
    original = zoo.load_file(arguments.files / "float.onnx", size=28)
    rows = json.loads(arguments.out.read_text())["files"] if arguments.costs else {}
    for path in () if arguments.costs else sorted(arguments.files.glob("*.onnx")):
        if path.name != "float.onnx":
            rows[path.stem] = measured(path, original, test, arguments.images)
            print(path.stem, rows[path.stem])
    with tempfile.TemporaryDirectory() as folder:
        opening = opening_cost(Path(folder), arguments.turns)
        print(opening)
        searching = search_cost(Path(folder), arguments.turns)
        print(searching)
    if arguments.out is not None:
        result = {"files": rows, "opening": opening, "search": searching}
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
