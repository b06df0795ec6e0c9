"""Which networks of timm go through which target and runtime, and with which fidelity.

    python benchmarks/networks.py [--only resnet18 ...] [--targets mobile] [--again] [--seconds 550] [--limit 300]
    python benchmarks/networks.py --table    # write the result into docs/runtimes.md

The list is fixed. The weights are random: no parameter is left at a constant, and batch normalisations have seen the
images. Each network is quantized after training (ptq) for each target, built for each runtime and compared with its
twin on 256 generated images. A network and target is one child process, so that a crash or a time-out is one line of
the result; what stands in the result already is not measured again, so that the command can be stopped and started.
Needs `pip install timm`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from tables import insert
from tables import table as written

CONVOLUTIONAL = (
    "resnet10t",
    "resnet18",
    "seresnet18",
    "skresnet18",
    "resnetblur18",
    "resnetv2_18",
    "nf_regnet_b0",
    "regnetx_002",
    "regnety_002",
    "repvgg_a0",
    "mobileone_s0",
    "mobilenetv1_100",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035",
    "efficientnet_b0",
    "efficientnet_lite0",
    "tf_efficientnetv2_b0",
    "mnasnet_small",
    "semnasnet_050",
    "lcnet_035",
    "tinynet_e",
    "mixnet_s",
    "rexnetr_100",
    "ghostnet_050",
    "hgnetv2_b0",
    "starnet_s050",
    "dla46_c",
    "ese_vovnet19b_slim_dw",
    "fasternet_t0",
    "convnext_atto",
)
ATTENTION_AND_MIXERS = (
    "vit_tiny_patch16_224@224",
    "deit_tiny_patch16_224",
    "pit_ti_224",
    "mixer_s32_224@224",
    "resmlp_12_224@224",
    "efficientformer_l1@224",
    "efficientformerv2_s0",
    "levit_128s",
    "efficientvit_m0",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "efficientvit_b0",
    "shvit_s1",
    "repvit_m0_9",
    "fastvit_t8",
    "poolformer_s12",
    "edgenext_xx_small",
)
#: Networks that have to be told the size of their images.
SIZED = ("deit_tiny_patch16_224", "pit_ti_224", "efficientformerv2_s0", "levit_128s", "efficientvit_m0")
NETWORKS = (*CONVOLUTIONAL, *ATTENTION_AND_MIXERS)
TARGETS = {"mobile": ("onnxruntime", "executorch"), "server": ("onnxruntime",)}
RESULT = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parent.parent / "docs" / "runtimes.md"
MARKS = ("<!-- benchmarks/networks.py -->", "<!-- end -->")
CLASSES = 10
CALIBRATION, IMAGES = 32, 256


def generated(count: int, pixels: int, seed: int) -> Any:
    """Draw gradients of random colours under noise, from none to nothing else, uint8 `[count,3,pixels,pixels]`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    patches = torch.nn.functional.interpolate(coarse, size=(pixels, pixels), mode="bilinear", align_corners=False)
    noise = torch.rand(count, 3, pixels, pixels, generator=generator)
    share = torch.rand(count, 1, 1, 1, generator=generator)
    return (((1 - share) * patches + share * noise) * 255).round().to(torch.uint8)


def drawn(name: str, pixels: int) -> Any:
    """Make a network with random weights of which none does nothing: no constant factors, no empty tokens."""
    import timm
    import torch

    from edgerift import images

    torch.manual_seed(0)
    sized = {} if pixels == 224 or name not in SIZED else {"img_size": pixels}
    model = timm.create_model(name, num_classes=CLASSES, **sized)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() == 1 or float(parameter.std()) > 1e-3:
                continue
            if float(parameter.abs().mean()) > 0.5:
                parameter.uniform_(0.7, 1.3)
            elif float(parameter.abs().mean()) > 0:
                parameter.uniform_(0.1, 0.5)
            else:
                parameter.normal_(0, 0.1)
        for layer in model.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.momentum = None
                layer.reset_running_stats()
        batch = images.to_float(generated(CALIBRATION, pixels, seed=1))
        model.train()
        for _ in range(2):
            model(batch)
    return model.eval()


def measured(network: str, target: str, runtimes: list[str]) -> dict[str, Any]:
    """Adapt a network for a target, build it for some runtimes, and compare; prints what there is after each."""
    import torch

    from edgerift import adapt, deploy, images
    from edgerift.errors import EdgeriftError
    from edgerift.zoo.architectures._torchvision import import_torchvision

    import_torchvision()  # timm imports it, which fails beside a CPU build of torch.
    name, _, given = network.partition("@")
    pixels = int(given or 64)
    started = time.monotonic()
    model = drawn(name, pixels)
    row: dict[str, Any] = {"parameters": sum(each.numel() for each in model.parameters()), "runtimes": {}}
    labels = torch.arange(CALIBRATION) % CLASSES
    names = tuple(f"class {index}" for index in range(CLASSES))
    train = images.ImageSet("generated", generated(CALIBRATION, pixels, seed=1), labels, names, "generated")
    test = generated(IMAGES, pixels, seed=2)
    try:
        program = adapt.ptq(model, train, target=target)
        with torch.inference_mode():
            part = images.to_float(test[:32])
            scores, wanted = deploy.twin(program)(part), model(part)
        row["agreement"] = float((scores.argmax(1) == wanted.argmax(1)).double().mean())
        departure = float((scores - wanted).square().mean().sqrt() / wanted.std())
        row["departure"] = departure if math.isfinite(departure) else None
    except EdgeriftError as error:
        return {**row, "refused": str(error), "seconds": time.monotonic() - started}
    for runtime in runtimes:
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = Path(folder) / f"model{deploy.RUNTIMES[runtime].suffix}"
                build = deploy.build(program, runtime, path, images=test)
                near = deploy.fidelity(program, build, test).as_dict()
                row["runtimes"][runtime] = {"integer_macs": share(build), **near}
            except EdgeriftError as error:
                row["runtimes"][runtime] = {"refused": str(error)}
        print(json.dumps({**row, "seconds": time.monotonic() - started}), flush=True)
    return {**row, "seconds": time.monotonic() - started}


def share(build: Any) -> float | None:
    """Read a build's share of integer work; None where its runtime does not tell."""
    from edgerift.errors import BuildError

    try:
        found: float = build.integer_macs()
    except BuildError:
        return None
    return found


def in_a_child(network: str, target: str, runtimes: list[str], limit: float) -> dict[str, Any]:
    """Measure in a process of its own; what it had printed counts when it is stopped."""
    command = [sys.executable, __file__, "--one", network, target, *runtimes]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        output, ending = finished.stdout, f"ended with code {finished.returncode}: {finished.stderr[-300:]}"
        done = finished.returncode == 0
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        done, ending = False, f"did not end within {limit:.0f} s"
    lines = [line for line in output.splitlines() if line.startswith("{")]
    row: dict[str, Any] = json.loads(lines[-1]) if lines else {"runtimes": {}}
    return row if done else {**row, "stopped": ending}


def told(row: dict[str, Any]) -> str:
    """Say in a line what became of a network on a target."""
    if "refused" in row:
        return f"refused: {row['refused'][:300]}"
    parts = [
        f"{runtime} refused: {found['refused'][:300]}"
        if "refused" in found
        else f"{runtime} {found['equal_logits']:.4%} equal, integer {found['integer_macs']}"
        for runtime, found in row["runtimes"].items()
    ]
    ending = [row["stopped"]] if "stopped" in row else []
    return "; ".join([f"labels {row.get('agreement')}, off {row.get('departure')}", *parts, *ending])


def cell(row: dict[str, Any] | None, runtime: str) -> str:
    """Say in a cell how many logits equal the twin's, and the share of integer work."""
    found = (row or {}).get("runtimes", {}).get(runtime)
    if row is None or ("refused" not in row and found is None):
        return "-"
    if found is None or "refused" in found:
        return "refused"
    equal = 100 * found["equal_logits"]
    # Rounded down: only equality of all is 100 %.
    shown = "100" if found["equal_logits"] == 1 else f"{math.floor(equal * 100) / 100:.2f}"
    integer = found["integer_macs"]
    return f"{shown} %" + ("" if integer is None else f", {integer:.3f}")


def refusals(rows: dict[str, Any]) -> list[str]:
    """List what was refused, each reason once."""
    found: list[str] = []
    for network, targets in rows.items():
        for target, row in targets.items():
            reasons = {"": row.get("refused")} | {name: each.get("refused") for name, each in row["runtimes"].items()}
            for runtime, reason in reasons.items():
                if reason is not None:
                    where = ", ".join(part for part in (target, runtime) if part)
                    told = reason.partition("; write")[0].partition(": write")[0]
                    found.append(f"- `{network.partition('@')[0]}` ({where}): {told}")
    return found


def table() -> str:
    """Write the result as Markdown."""
    rows = read(RESULT)
    headings = ["network", "pixels", *(f"{runtime}, {target}" for target in TARGETS for runtime in TARGETS[target])]
    body = []
    for network in NETWORKS:
        name, _, pixels = network.partition("@")
        cells = [cell(rows.get(network, {}).get(target), runtime) for target in TARGETS for runtime in TARGETS[target]]
        body.append([f"`{name}`", pixels or "64", *cells])
    exact = sum(any("100 %" in each for each in line[2:]) for line in body)
    told = f"{exact} of {len(body)} networks equal their twin in all logits on at least one runtime.\n"
    return "\n".join([told, written(headings, body), *refusals(rows)])


def main() -> None:
    """Measure what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seconds", type=float, default=550)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--runtimes", nargs="*", default=None)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", nargs="*", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.one is not None:
        network, target, *runtimes = arguments.one
        print(json.dumps(measured(network, target, runtimes)))
        return
    if arguments.table:
        insert(PAGE, MARKS, table())
        return
    end = time.monotonic() + arguments.seconds
    for network in arguments.only or NETWORKS:
        for target in arguments.targets:
            left = end - time.monotonic()
            row = read(arguments.out).get(network, {}).get(target, {})
            wanted = [each for each in TARGETS[target] if arguments.runtimes is None or each in arguments.runtimes]
            missing = [each for each in wanted if arguments.again or each not in row.get("runtimes", {})]
            if not missing or ("refused" in row and not arguments.again):
                continue
            if left < 30:
                return
            found = in_a_child(network, target, missing, min(arguments.limit, left))
            print(f"{network} {target} {found.get('seconds', 0):.0f} s: {told(found)}", flush=True)
            if "stopped" in found and left < arguments.limit and not found["runtimes"]:
                return
            keep(arguments.out, network, target, found)


def read(path: Path) -> dict[str, Any]:
    """Read the rows of a result by network and target; none if there is no file yet."""
    rows: dict[str, Any] = json.loads(path.read_text())["results"] if path.exists() else {}
    return rows


def keep(path: Path, network: str, target: str, row: dict[str, Any]) -> None:
    """Add a row to the result; runtimes that stand in it already stay."""
    rows = read(path)
    before = rows.setdefault(network, {}).get(target, {}).get("runtimes", {})
    rows[network][target] = {**row, "runtimes": {**before, **row["runtimes"]}}
    path.write_text(json.dumps({"images": IMAGES, "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
