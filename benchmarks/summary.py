"""Write docs/measurements.md, and the figures of docs/serving.md, from the JSON files that the benchmarks wrote.

    python benchmarks/summary.py

Reads benchmarks/{twin,builds,qat,evasion,evade,extract,clones,adaptive,datafree,datafree_digits}.json,
benchmarks/{serving,training,memory,flips,study}.json, benchmarks/card-cifar10.json (from `edgerift adapt`) and
benchmarks/harden-cifar10.json (from `edgerift harden`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from summary_theft import adaptive, clones, data_free, data_free_digits, hardening, oracle, served, serving
from tables import HERE, insert, read, table

#: The methods of quantization-aware training, as the table calls them.
METHODS = {
    "twin": "training the twin, batch normalisation frozen",
    "alive": "training the twin, batch normalisation alive",
}
TARGET = HERE.parent / "docs" / "measurements.md"

HEAD = """# Measurements

`python benchmarks/summary.py` wrote every figure on this page from the results in `benchmarks/`. Each result was
produced by the command above its table. Times are medians within one run on two shared x86 cores, so the ratios say
more than the milliseconds. Nothing here was measured on a GPU.
"""


def card() -> str:
    """The card of CIFAR-10."""
    found = read("card-cifar10.json")
    rows = []
    for name, value in found["accuracy"].items():
        low, high = found["accuracy_interval"][name]
        part = found["quadrants"].get(name, {})
        kind = found["fidelity"].get(name, {})
        rows.append(
            [
                name,
                f"{value:.2%} ({low:.1%} to {high:.1%})",
                str(part.get("only_original_right", "")),
                str(part.get("only_build_right", "")),
                f"{kind['equal_logits']:.2%}" if kind else "",
                f"{kind['label_disagreement']:.2%}" if kind else "",
                f"{found['integer_macs'][name]:.1%}" if kind else "",
            ]
        )
    headings = ["", "accuracy", "only original right", "only it right", "logits equal to its twin"]
    headings += ["label differs from its twin", "integer MACs"]
    command = "edgerift adapt --data cifar10 --data-root DIR --runtime executorch --runtime onnxruntime --out OUT"
    return (
        f"## ResNet-8 on CIFAR-10\n\n`{command}`: 20 epochs in float, 3 epochs of quantization-aware training, "
        f"{found['images']:,} test images, one seed.\n\n{table(headings, rows)}"
    )


def builds() -> str:
    """Every architecture on two runtimes."""
    found = read("builds.json")
    rows = []
    for name, row in found["results"].items():
        graph = row["twin against converted graph, largest difference"]
        for runtime in ("executorch", "onnxruntime"):
            part = row[runtime]
            shares = [f"{part[key]:.2%}" for key in ("integer_macs", "equal_logits", "label_disagreement")]
            rows.append([f"{name}, {runtime}", f"{graph}", *shares, f"{part['max_lsb']:.0f}"])
    headings = ["", "graph twin - graph", "integer MACs", "logits equal to the runtime's twin", "different label"]
    headings.append("largest LSB")
    return (
        "## All architectures\n\n`python benchmarks/builds.py --out benchmarks/builds.json`: untrained weights, "
        f"post-training quantization for `mobile`, {found['images']} random images.\n\n{table(headings, rows)}"
    )


def twins() -> str:
    """The cost of twins."""
    found = read("twin.json")
    rows = []
    for name, parts in found["results"].items():
        for part, values in parts.items():
            for row, numbers in values.items():
                rows.append([f"{name}, {part}: {row}", f"{numbers['milliseconds']:.0f}", f"{numbers['ratio']:.2f}"])
    return (
        f"## Cost of a twin\n\n`python benchmarks/twin.py --out benchmarks/twin.json`: {found['threads']} thread, "
        f"median of {found['repeats']} repetitions. Ratios are to the float model in the same repetition; below 1 is "
        "cheaper.\n\n" + table(["", "ms", "ratio"], rows)
    )


def training() -> str:
    """Two implementations of quantization-aware training."""
    found = read("qat.json")
    costs = found.get("step over a float step", {})
    tested = "" if found.get("tested") is None else f" --tested {found['tested']}"
    rows = [
        [
            METHODS.get(name, name),
            f"{row['learning_rate']}",
            f"{row['mean']:.2%}",
            f"{row['low']:.2%} to {row['high']:.2%}",
            f"{row['seconds']:.0f}",
            f"{costs[name]['ratio']:.2f}" if name in costs else "",
        ]
        for name, row in found["summary"].items()
    ]
    before = found["before"]
    return (
        "## Training the twin, compared with torchao's QAT\n\n`python benchmarks/qat.py "
        "--original OUT/original.safetensors "
        f"--data cifar10 --data-root DIR --images {found['images']}{tested} --out benchmarks/qat.json`: ResNet-8, "
        f"{found['images']:,} images, {found['epochs']} epochs, three seeds, the learning rate chosen on the "
        f"validation split. Before: float {before['original']:.2%}, ptq {before['ptq']:.2%}."
        + (" The ratio is the CPU time of a step over that of a float step, one thread." if costs else "")
        + "\n\n"
        + table(["", "learning rate", "mean test accuracy", "range over seeds", "seconds", "step, ratio"], rows)
    )


def training_steps() -> str:
    """A step of training in several forms, and the accuracy that two precisions reach."""
    found: dict[str, Any] = {"accuracy": {}, **read("training.json")}
    forms = [form for form in next(iter(found["steps"].values()))["ratio"] if form != "plain"]
    rows = [[name, *(f"{row['ratio'][form]:.2f}" for form in forms)] for name, row in found["steps"].items()]
    reached = [
        [
            f"{data}, {part['images']:,} images, {part['epochs']} epochs, seed {seed}",
            *(f"{run[precision]['accuracy']:.2%}" for precision in ("float32", "bfloat16")),
            f"{run['bfloat16']['seconds'] / run['float32']['seconds']:.2f}",
            run["fastest"],
        ]
        for data, part in found["accuracy"].items()
        for seed, run in part["runs"].items()
    ]
    text = (
        "## Precision of training\n\n`python benchmarks/training.py --forms auto float32 float32-compiled --data-root "
        "DIR --out benchmarks/training.json`: the time of a training step over the plain eager step in float32, one "
        "thread; "
        f"`auto` chose {next(iter(found['steps'].values()))['auto']}.\n\n" + table(["", *forms], rows)
    )
    if not reached:
        return text
    return (
        text
        + "\nTest accuracies of ResNet-8 from the same initial weights, the time of the whole training, and what "
        + "`auto` would choose on the CPU that trained:\n\n"
        + table(["", "float32", "bfloat16", "time, bfloat16 over float32", "`auto` there"], reached)
    )


def share(part: dict[str, Any] | None) -> str:
    """Write a rate with its interval."""
    return f"{part['value']:.1%} ({part['low']:.1%} to {part['high']:.1%})" if part else ""


def attacks() -> str:
    """The attacks on one pair, at equal gradient calls."""
    found = read("evasion.json")
    text = (
        "## Attacks at equal gradient calls\n\n`python benchmarks/evasion.py --data cifar10 --data-root DIR`: "
        f"ResNet-8, one seed, {found['count']:,} test images that original and build both label correctly, judged on "
        "ExecuTorch, every success judged again from its PNG file. Evasive: the original right, the build wrong. The "
        "p-value is that of McNemar's exact test against `diva-2022` on the same images. The rule and step of the "
        "default attack were chosen on validation images.\n"
    )
    for title, rows in found["tables"].items():
        lines = []
        for row in rows:
            against = row["against_diva_2022"]
            lines.append(
                [
                    row["name"],
                    str(row["attack"]["steps"] * row["attack"]["restarts"]),
                    share(row["evasive"]),
                    f"{row['evasive_last']['value']:.1%}",
                    f"{row['evasive_top5']['value']:.1%}",
                    f"{row['fooled']['value']:.1%}",
                    f"{row['gradient_calls']:.0f}" if row["gradient_calls"] else "",
                    f"{against['p']:.1g}" if against else "",
                ]
            )
        headings = ["attack", "gradients", "evasive at any iterate", "at the last", "outside the top 5"]
        headings += ["build wrong", "gradients per success", "p"]
        text += f"\n### {title}\n\n{table(headings, lines)}"
    return text


def search() -> str:
    """The cost of the search, compared with other libraries and a loop."""
    found = read("evade.json")
    results = found["results"]
    # Networks without their repetitions were measured with an earlier engine.
    turns: dict[str, int] = results["turns"]
    repeated = ", ".join(f"{network.partition(',')[0]} {count}" for network, count in turns.items())
    rows = [
        [
            f"{network}: {name}",
            f"{row['ratio']:.2f}",
            f"{row['loss']:.3f}",
            f"{row['build queries per image']:.1f}" if "build queries per image" in row else "",
        ]
        for network, part in results["libraries"].items()
        if network in turns
        for name, row in part.items()
    ]
    loop = [
        [name, f"{row['seconds']:.2f}", f"{row['times faster']:.1f}", f"{row['evasive']} of {row['images']}"]
        for name, row in results["loop"].items()
    ]
    shares = [
        [name, *(f"{row[part]:.1%}" for part in ("forward", "backward", "judges", "overhead"))]
        for name, row in results["overhead"].items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        "## What a search costs\n\n`python benchmarks/evade.py --pair OUT --data cifar10 --data-root DIR`: "
        f"{found['threads']} thread, median of the repetitions ({repeated}), {versions}. The same PGD (20 steps of 1 "
        "grey level, epsilon 8, no early stop) on a float model, in CPU time. The baseline of the ratios is 20 plain "
        "forward passes with input gradients of the unmodified model. The judges are the ExecuTorch build of the "
        "model's int8 program and, where that is wrong, the model itself; `judged at the end` corresponds to what the "
        "other libraries do. The same ratio of other networks stands in [Performance](performance.md).\n\n"
        + table(["", "ratio", "loss reached", "queries per image"], rows)
        + "\nThe two tables below were measured with twins in float32, before searches were steered "
        "by reduced copies.\n\n### DIVA with early stopping: batched, and one image at a time\n\n"
        + table(["", "seconds", "times faster", "evasive"], loop)
        + "\n### Where the time goes\n\n"
        + table(["attack, early stopping", "forward", "backward", "judges", "overhead of the engine"], shares)
    )


def memory() -> str:
    """The effect of keeping freed memory."""
    found = read("memory.json")
    rows = [
        [
            f"{row['model']}, batch {row['batch']}, {row['precision']}",
            f"{row['ratio']:.2f}",
            f"{row['freed']['pages']:,.0f}",
            f"{row['kept']['pages']:,.0f}",
            f"{row['kept']['peak_mib'] / row['freed']['peak_mib']:.2f}",
        ]
        for row in found["cases"]
    ]
    return (
        f"## Training with freed memory kept\n\n`python benchmarks/memory.py --steps {found['steps']}`: a step of "
        "training in a process that keeps the memory it frees, as the command line and the workers of studies do, "
        "relative to one that returns it to the system. One thread, CPU time, median of the repetitions.\n\n"
        + table(
            ["", "time, ratio", "pages fetched per step, memory returned", "memory kept", "peak memory, ratio"], rows
        )
    )


def flips() -> str:
    """How few flipped bits destroy a build."""
    found = read("flips.json")
    rows = []
    for row in found:
        random = [f"{part['accuracy']['value']:.1%}" for part in row["random"]]
        needed = ", ".join(str(trial["needed"] or f"not in {len(trial['flips'])}") for trial in row["trials"])
        after = ", ".join(f"{trial['accuracy']['value']:.1%}" for trial in row["trials"])
        before = f"{row['accuracy']['value']:.1%}"
        rows.append([f"{row['method']} for {row['target']}, {row['runtime']}", before, needed, after, *random])
    counts = ", ".join(str(part["flips"]) for part in found[0]["random"])
    sign = sum(row["bits"][-1] for row in found) / sum(sum(row["bits"]) for row in found)
    return (
        "## Bit flips\n\n`python benchmarks/flips.py --original OUT/original.safetensors --data cifar10 --data-root "
        "DIR --count 1000 --out benchmarks/flips.json`: progressive bit search on ResNet-8, down to chance, three "
        "trials with 128 training images each; accuracies on the runtime, of "
        f"{found[0]['images']:,} test images, none of which steered. {sign:.0%} of the flips are of sign bits. Random "
        f"flips ({counts} of them, answered by the twin) are means over the trials. The publication (Rakin et al. "
        "2019) needs 13 flips for a ResNet-18 of ImageNet with 93 million bits, which 100 random ones cost less than a "
        "point.\n\n"
        + table(["", "accuracy", "flips to chance", "accuracy after", "random", "10 times", "100 times"], rows)
    )


def studies() -> str:
    """The overhead of a study."""
    found = read("study.json")
    rows = [
        [name, f"{row['steps']:.0f}", f"{row['seconds']:.1f}", f"{row['work']:.1f}", f"{row['share']:.2%}"]
        for name, row in found["overhead"].items()
        if "share" in row
    ]
    again = found["overhead"]["a second run"]["seconds"]
    speed = found["speedup"]
    return (
        f"## Overhead of a study\n\n`python benchmarks/study.py`: {found['cores']} cores, wall-clock "
        f"seconds, median of {found['turns']} repetitions. A second run of a finished study takes {again:.2f} s.\n\n"
        + table(["", "steps", "seconds", "work of the steps", "overhead"], rows)
        + f"\nOn two Ray nodes of one core each, {found['steps']} equal steps run "
        f"{speed['times as fast']['seconds']:.2f} times as fast as on one.\n"
    )


def main() -> None:
    """Write the page; parts without a result are left out."""
    parts = [attacks, search, hardening, oracle, clones, adaptive, data_free, data_free_digits, serving]
    parts += [card, builds, twins, training_steps, training, memory, flips, studies]
    written = []
    for part in parts:
        try:
            written.append(part())
        except FileNotFoundError as missing:
            print(f"left out: {Path(missing.filename).name} does not exist")
    TARGET.write_text("\n".join([HEAD, *written]))
    insert(HERE.parent / "docs" / "serving.md", ("<!-- serving: begin -->", "<!-- serving: end -->"), served())


if __name__ == "__main__":
    main()
