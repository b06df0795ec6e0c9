"""The parts of docs/measurements.md about model extraction, from the JSON files that the benchmarks wrote."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import scipy.stats
from tables import HERE, read, table

from edgerift.extract import DataFree
from edgerift.harden import Hardening
from edgerift.report import write_hardening


def hardening() -> str:
    """The tables of the DivQAT paper, at a scale that this machine can run."""
    found = Hardening.model_validate_json((HERE / "harden-cifar10.json").read_text())
    command = (
        "edgerift harden --data cifar10 --data-root DIR --queries cifar100 --model resnet8 --target mobile --variants "
        "paper held mislead smoothing noise --alphas 0.25 0.5 0.75 --adapt-epochs 1 --clone-epochs 10 "
        "--clone-learning-rate 0.1 --clone-batch-size 128 --clone-precision bfloat16 --budget 20000 --out OUT"
    )
    trials = {title: found.searches[name].trials for name, title in (("divqat", "alpha"), ("held", "hinge"))}
    rows = [
        [
            f"{title} {trial.strength:.4g}",
            f"{trial.l1:.3f}",
            f"{trial.divergence:.3f}",
            f"{trial.accuracy:.1%}",
            f"{trial.changed:.1%}",
        ]
        for title, several in trials.items()
        for trial in several
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_hardening(found, Path(folder))
        victims = (Path(folder) / "tables" / "victims.md").read_text()
    headings = ["validation images", "l1", "KL(quantized, original)", "accuracy", "labels changed"]
    return (
        f"## Model extraction, and training against it\n\n`{command}`, one seed:\n\n{victims}\n"
        "The trials of the searches for DivQAT's alpha and for the hinge of `held`:\n\n"
        f"{table(headings, rows)}\n"
        "![Adversary's error against l1 and against the defender's error](pictures/tradeoff.png)\n\n"
        "![Distance, divergence, accuracy and changed labels against alpha](pictures/alpha.png)\n"
    )


def oracle() -> str:
    """The cost of the oracle and of DivQAT."""
    found = read("extract.json")
    rows = [
        [name, f"{found['oracle']['images_per_second'][name]:,.0f}", f"{ratio:.2f}"]
        for name, ratio in found["oracle"]["throughput_over_bare"].items()
    ]
    steps = [
        [f"batch {batch}", f"{row['divqat']:.2f}", f"{row['float']:.2f}"]
        for batch, row in found["step_over_qat_step"].items()
    ]
    return (
        f"## Cost of the oracle and of DivQAT\n\n`python benchmarks/extract.py`: {found['model']}, "
        f"{found['images']:,} images, one thread, CPU time, median of {found['turns']} repetitions. The oracle "
        "writes its ledger to disk.\n\n"
        + table(["", "images per second, at best", "relative to the bare build"], rows)
        + "\nThe time of a training step, relative to a step of plain quantization-aware training:\n\n"
        + table(["", "DivQAT", "float"], steps)
    )


def clones() -> str:
    """How far clones agree with their victims, beside those of another library."""
    found = read("clones.json")
    ways, rows = found["agreement"], []
    own = ways["edgerift"]
    for name, agreement in ways.items():
        values = list(agreement.values())
        gains = [own[seed] - value for seed, value in agreement.items()]
        ahead = "" if name == "edgerift" else f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        gained = "" if name == "edgerift" else f"{100 * statistics.fmean(gains):+.2f} {_spread(gains)}"
        spread = f"{min(values):.2%} to {max(values):.2%}"
        rows.append([name, f"{statistics.fmean(values):.2%}", spread, gained, ahead])
    headings = ["KnockoffNets", "agreement, mean", "range", "edgerift's lead in points", "seeds where it leads"]
    return (
        f"## Clones beside another library's\n\n`python benchmarks/clones.py --out benchmarks/clones.json`: "
        f"{found['data']}, {found['network']}, {found['queries']:,} queries, {found['epochs']} epochs, {len(own)} "
        "seeds; victims, queries and first weights are the same for all. Agreement is the share of test images that "
        "clone and victim label alike; the lead has the 95 % interval of its mean over the seeds (Student's t).\n\n"
        + table(headings, rows)
    )


def _spread(values: Sequence[float]) -> str:
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return f"[{100 * (mean - half):+.2f}, {100 * (mean + half):+.2f}]"


def adaptive() -> str:
    """What attackers gain who know the defence, or make more of few queries."""
    found = read("adaptive.json")
    keys = [key.split("; ") for key in found["rows"]]
    defences, thieves, seeds = (list(dict.fromkeys(column)) for column in zip(*keys, strict=True))
    rows = []
    for thief in thieves:
        cells = []
        for defence in defences:
            several = [found["rows"].get(f"{defence}; {thief}; {seed}") for seed in seeds]
            known = [one for one in several if one is not None]
            mean = {name: statistics.fmean(one[name] for one in known) for name in ("agreement", "off") if known}
            cells.append(f"{mean['agreement']:.1%} ({mean['off']:.2f})" if known else "")
        rows.append([thief, *cells])
    return (
        f"## Attackers that know the defence\n\n`python benchmarks/adaptive.py --out benchmarks/adaptive.json`: "
        f"{found['data']}, {found['network']}, {found['queries']:,} queries, {found['epochs']} epochs, means of "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}. In each cell: "
        "the share of test images that the clone labels as the undefended victim does and, in brackets, the mean l1 "
        "distance of what it learned from to the undefended answers.\n\n"
        + table(["KnockoffNets learns from", *(f"defence: {name}" for name in defences)], rows)
    )


def data_free() -> str:
    """The cost of one iteration of a data-free attack."""
    found = read("datafree.json")
    given = found["settings"]
    rows = [
        [row["attack"], f"{row['ratio']:.2f}", f"{row['queries_per_second']:,.0f}", f"{row['queries']:,}"]
        for row in found["rows"]
    ]
    return (
        f"## Cost of data-free extraction\n\n`python benchmarks/datafree.py`: clone and victim {given['student']}, "
        f"{given['size']}x{given['size']} pixels, batches of {given['batch']}, a generator of {given['width']} "
        f"channels, {given['precision']}, one thread, CPU time, median of {given['turns']} repetitions. "
        "The ratio is to the bare forward and backward passes of the same networks on the same batches.\n\n"
        + table(["attack", "ratio", "queries per second", "queries per iteration"], rows)
    )


def data_free_digits() -> str:
    """Data-free extraction of victims trained on digits."""
    found = read("datafree_digits.json")
    plain = [row for row in found["rows"] if row["defence"] is None and row["loss"] == _published_loss(row)]
    seeds = len({row["seed"] for row in found["rows"]})
    kinds = {"float": "in float", "int8": "as an int8 build for ExecuTorch"}
    own = {
        victim: statistics.fmean(row["defender_error"] for row in plain if row["victim"] == victim) for victim in kinds
    }
    victims = " and ".join(f"{kinds[victim]} (whose own test error is {error:.1%})" for victim, error in own.items())
    size = f"{found['size']}x{found['size']}"
    return (
        f"## Data-free extraction on digits\n\n`python benchmarks/datafree_digits.py`: digits of {size} pixels, "
        f"ResNet-8 {victims}; {seeds} seeds. At chance level the error is 90 %. Most attackers query in colour, as "
        "published (`--in-colour`); those that query in grey make images like the victim's, the default of "
        f"`edgerift extract`.\n\n{_undefended(plain)}" + _behind_defences(found["rows"])
    )


def _published_loss(row: dict[str, Any]) -> str:
    return DataFree(name=row["attack"]).loss


def _undefended(rows: Sequence[dict[str, Any]]) -> str:
    """The attacks with the published epsilon, and with another."""
    lines = []
    for key in dict.fromkeys((row["attack"], row["victim"], row["epsilon"]) for row in rows):
        of_key = [row for row in rows if (row["attack"], row["victim"], row["epsilon"]) == key]
        errors = [row["adversary_error"] for row in of_key]
        zeros = [row["zero_share"] for row in of_key if row["zero_share"] is not None]
        alike = [row["correlation"] for row in of_key if row["correlation"] is not None]
        lines.append(
            [
                f"{key[0]}, {'int8 queried in grey' if key[1] == 'grey' else key[1]}",
                "" if key[2] is None else f"{key[2]:g}",
                f"{of_key[0]['spent']:,}",
                f"{statistics.fmean(errors):.1%}",
                f"{min(errors):.1%} to {max(errors):.1%}",
                f"{statistics.fmean(zeros):.0%}" if zeros else "",
                f"{statistics.fmean(alike):.2f}" if alike else "",
            ]
        )
    headings = ["attack, victim", "epsilon", "queries", "adversary's error", "range over seeds"]
    return table([*headings, "differences that are zero", "correlation with the twin's"], lines)


def _behind_defences(rows: Sequence[dict[str, Any]]) -> str:
    """The attacks that were also run against defences that answer zeros, with the published loss and with another."""
    defended = [row for row in rows if row["defence"] is not None]
    if not defended:
        return ""
    defences = [None, *dict.fromkeys(row["defence"] for row in defended)]
    lines = []
    for key in dict.fromkeys((row["attack"], row["epsilon"], row["loss"]) for row in defended):
        cells = []
        for defence in defences:
            errors = [
                row["adversary_error"]
                for row in rows
                if (row["attack"], row["epsilon"], row["loss"]) == key
                and (row["victim"], row["defence"]) == ("int8", defence)
            ]
            cells.append(f"{statistics.fmean(errors):.1%} ({min(errors):.1%} to {max(errors):.1%})")
        epsilon = "" if key[1] is None else f", epsilon {key[1]:g}"
        lines.append([f"{key[0]}{epsilon}, {key[2]}", *cells])
    return (
        "\nThe int8 build behind defences that answer zeros, of which l1 on recovered logits takes the logarithm: the "
        "adversary's error, and its range over seeds, with the published loss and with KL (`--change loss=kl`).\n\n"
        + table(["attack, loss", *("none" if defence is None else defence for defence in defences)], lines)
    )


def serving() -> str:
    """The cost of a build behind an API."""
    return f"## Serving\n\n{served()}"


def served() -> str:
    """What a build behind an API costs, as docs/serving.md has it too."""
    found = read("serving.json")
    size = str(found["images per request"])
    rows = [
        [
            row["model"],
            f"{row['bare images per second'][size]:,}",
            f"{row['new images']['images per second']:,}",
            f"{row['share of bare'][size]:.2f}",
            f"{row['bare microseconds per image']:,.0f}",
            f"{row['new images']['server microseconds per image']:,.0f}",
            f"{row['known images']['server microseconds per image']:,.0f}",
            f"{row['milliseconds']['p50']:,.0f}, {row['milliseconds']['p99']:,.0f}",
        ]
        for row in found["networks"]
    ]
    headings = ["", "bare, images/s", "served, images/s", "share", "bare, microseconds/image"]
    headings += ["served, microseconds/image", "known images, microseconds/image", "p50, p99 in ms"]
    checked = [part for row in found["networks"] for part in (row["load"], row["kill"])]
    wrong = ["charged twice", "answered, not charged", "charged, not answered", "other answer than charged"]
    faults = sum(part[name] for part in checked for name in wrong)
    charged = sum(part["charged images"] for part in checked)
    killed = sum(row["kill"]["charged images"] for row in found["networks"])
    return (
        "`python benchmarks/serving.py --seconds 60 --out benchmarks/serving.json`: "
        f"{found['clients']} clients with requests of {size} new images, on {found['processors']} processors that "
        "clients, server and runtime share; the build alone (bare) has them to itself. Microseconds are of CPU time. "
        f"Of {charged:,} charges, {killed:,} of them with the server killed in the middle, {faults or 'none'} were "
        f"lost, doubled or other than the answer.\n\n{table(headings, rows)}"
    )
