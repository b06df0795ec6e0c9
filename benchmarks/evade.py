"""Cost of a search, compared with other libraries, with one image at a time, and with its own networks.

    pip install --no-deps --target CONTENDERS -r benchmarks/contenders.txt
    PYTHONPATH=CONTENDERS python benchmarks/evade.py --pair OUT --data cifar10 --data-root DIR \
        [--out benchmarks/evade.json] [--turns 5] [--threads 1] [--parts libraries loop overhead]

`OUT` is a folder written by `edgerift adapt --data cifar10 --runtime executorch`; without `--pair` a small pair is
trained on the embedded digits. Libraries that are not installed are left out, and the result says so. Parts and models
that are not measured stay as the file has them. Times are CPU seconds summed over all threads: what one thread takes on
an otherwise idle machine.

- `libraries`: the same PGD (20 steps of 1 grey level, epsilon 8, clean start, no early stop, one batch) on the same
  float model. The raw cost is 20 times one forward pass and input gradient of that model as a user has it: eager, the
  default memory layout, parameters that require gradients. The engine takes its gradients from a folded copy of that
  model. Its judges are the ExecuTorch build of the model's int8 program and, where that is wrong, the model. They judge
  the final images only, like the other libraries, or images that the steering model puts near a boundary, or every
  iterate. The time includes judging. Every contender runs once per turn; a ratio is to the raw cost of the same turn.
  `loss` is the mean cross-entropy of the final images, on whole grey levels, on the unmodified model (`raw`: before).
- `loop`: DIVA with the paper's setting and its stop at the first success, by the engine in batches of 64 and by a loop
  over images, as in the paper's code, with the same twin and the same judges; then the default attack with the fewest
  steps that reach as many successes.
- `overhead`: the share of the time outside the models' forward and backward passes and the judges.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from contenders import EPSILON, STEP, STEPS, versions
from libraries import against_libraries
from stopwatch import Stopwatch, in_turns, ratios, timed
from torch import Tensor

from edgerift import adapt, deploy, images, train, zoo
from edgerift.evade import Attack, Pair, Selection, Steering, preset, search_selected, select

#: The loop and the engine's own share are measured so often at most; `--turns` says how often the libraries run.
FEW_TURNS = 3

MODELS = {"resnet8": (64,), "mobilenet_v2": (16,), "resnet18": (16,)}


def one_at_a_time(pair: Pair, clean: Tensor, labels: Tensor) -> int:
    """Run DIVA as its authors published it, with no batch: returns how many images evade."""
    successes = 0
    for image, label in zip(clean.split(1), labels.split(1), strict=True):
        start = image.float()
        position = start
        for _ in range(STEPS):
            pixels = (position / 255).requires_grad_()
            kept, lost = pair.original(pixels).softmax(1), pair.twin(pixels).softmax(1)
            (gradient,) = torch.autograd.grad((kept - lost)[0, label].sum(), pixels)
            moved = position + STEP * gradient.sign()
            position = torch.clamp(start + torch.clamp(moved - start, -EPSILON, EPSILON), 0, 255)
            candidate = position.to(torch.uint8)
            answers = pair.original_scores(candidate).argmax(1), pair.build_scores(candidate).argmax(1)
            if bool(answers[0] == label) and bool(answers[1] != label):
                successes += 1
                break
    return successes


def against_loop(pair: Pair, test: images.ImageSet, selection: Selection, turns: int) -> dict[str, Any]:
    """Compare the engine with the loop on the same images, and with the default attack of as few steps as will do."""
    steering = pair.white_box()
    clean, labels = test.images[selection.index], test.labels[selection.index]

    def engine(attack: Attack) -> Callable[[], Any]:
        return lambda: search_selected(pair, test, selection, attack, steering=steering)

    works = {"loop": lambda: one_at_a_time(pair, clean, labels), "engine": engine(preset("diva-2022"))}
    wanted = int(works["engine"]().evasive.sum())
    for steps in range(1, STEPS + 1):
        default = preset("default").replace(steps=steps)
        if int(engine(default)().evasive.sum()) >= wanted:
            works[f"default attack, {steps} steps"] = engine(default)
            break
    spent, answers = in_turns(works, turns)
    rows = {}
    for key, ratio in ratios(spent, "loop").items():
        found = answers[key] if key == "loop" else int(answers[key].evasive.sum())
        calls = None if key == "loop" else float(answers[key].gradient_calls.float().mean())
        rows[key] = {
            "seconds": statistics.median(spent[key]),
            "times faster": 1 / ratio,
            "evasive": found,
            "images": len(labels),
            "gradient calls an image": calls,
        }
    return rows


def watched_search(
    watch: Stopwatch, pair: Pair, test: images.ImageSet, selection: Selection, attack: Attack, steering: Steering
) -> None:
    """Search under a stopwatch."""
    with watch.running():
        search_selected(watch.victim(pair), test, selection, attack, steering=steering)


def overhead(pair: Pair, test: images.ImageSet, selection: Selection, turns: int) -> dict[str, Any]:
    """Tell what the engine spends outside of the networks, for the paper's attack and for the default one."""
    steering = pair.white_box()
    rows = {}
    for name in ("diva-2022", "default"):
        watches = []
        for _ in range(turns + 1):
            watch = Stopwatch()
            timed(partial(watched_search, watch, pair, test, selection, preset(name), steering))
            watches.append(watch)
        parts = {part: statistics.median(watch.share(part) for watch in watches[1:]) for part in watch.seconds}
        rows[name] = {
            "seconds": statistics.median(watch.total for watch in watches[1:]),
            **parts,
            "overhead": statistics.median(watch.rest() for watch in watches[1:]),
        }
    return rows


def opened(folder: Path | None, data: str, root: Path | None, scratch: Path) -> tuple[Pair, images.ImageSet]:
    """Open a pair and its test images, or train one on digits."""
    splits = images.load(data, size=32, root=root)
    if folder is None:
        original = train.fit(zoo.create("resnet8", 10), splits.train, epochs=6, device="cpu")
        program = adapt.qat(original, splits.train, target="mobile", epochs=1, device="cpu")
        return Pair(original, program, deploy.build(program, "executorch", scratch / "model.pte")), splits.test
    program = deploy.Program.load(folder / "program.safetensors")
    return Pair(
        zoo.load(folder / "original.safetensors"), program, deploy.open_build(folder / "model.pte")
    ), splits.test


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print rows of figures."""
    print(f"\n{title}")
    for name, values in rows.items():
        figures = "  ".join(f"{key} {value:.4g}" for key, value in values.items() if value is not None)
        print(f"  {name:<22} {figures}", flush=True)


def main() -> None:
    """Print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", nargs="*", default=["libraries", "loop", "overhead"])
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--batches", nargs="*", type=int, default=None)
    parser.add_argument("--pair", type=Path, default=None)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--images", type=int, default=96)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    if "libraries" in arguments.parts:
        results["libraries"] = {}
        for name in arguments.models:
            for batch in arguments.batches or MODELS[name]:
                rows = against_libraries(name, batch, arguments.turns)
                results["libraries"][f"{name}, batch {batch}"] = rows
                results.setdefault("turns", {})[f"{name}, batch {batch}"] = arguments.turns
                show(f"{name}, batch {batch}", rows)
    with tempfile.TemporaryDirectory() as scratch:
        if set(arguments.parts) & {"loop", "overhead"}:
            train.keep_freed_memory()  # As the command line does.
            pair, test = opened(arguments.pair, arguments.data, arguments.data_root, Path(scratch))
            found = select(pair, test.select(torch.arange(min(len(test), 2 * arguments.images))))
            few = Selection(
                *(part[: arguments.images] for part in (found.index, found.original, found.build)), found.dropped
            )
        for part, measure in {"loop": against_loop, "overhead": overhead}.items():
            if part in arguments.parts:
                results[part] = measure(pair, test, few, min(arguments.turns, FEW_TURNS))
                show(part, results[part])
    if arguments.out is not None:
        header = {
            "torch": torch.__version__,
            "threads": arguments.threads,
            "turns": arguments.turns,
            "versions": versions(),
            "data": arguments.data,
        }
        kept = json.loads(arguments.out.read_text())["results"] if arguments.out.is_file() else {}
        both = {part: {**kept.get(part, {}), **results.get(part, {})} for part in ("libraries", "turns")}
        results = {**kept, **results, **{part: found for part, found in both.items() if found}}
        arguments.out.write_text(json.dumps({**header, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
