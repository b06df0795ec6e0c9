"""Which networks of timm go through which target and runtime, and with which fidelity.

    python benchmarks/networks.py [--only resnet18 ...] [--seconds 550] [--limit 300] [--out benchmarks/networks.json]
    python benchmarks/networks.py --table

The list is fixed. The weights are random: no parameter is left at a constant, and batch normalisations have seen the
images. Each network is quantized after training (ptq) for each target, built for each runtime and compared with its
twin on 256 generated images. A network and target is one child process, so that a crash or a time-out is one line of
the result; what stands in the result already is not measured again, so that the command can be stopped and started.
Needs `pip install timm`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

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
    "deit_tiny_patch16_224@224",
    "pit_ti_224@224",
    "mixer_s32_224@224",
    "resmlp_12_224@224",
    "efficientformer_l1@224",
    "efficientformerv2_s0@224",
    "levit_128s@224",
    "efficientvit_m0@224",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "efficientvit_b0",
    "shvit_s1",
    "repvit_m0_9",
    "fastvit_t8",
    "poolformer_s12",
    "edgenext_xx_small",
)
NETWORKS = (*CONVOLUTIONAL, *ATTENTION_AND_MIXERS)
TARGETS = {"mobile": ("executorch", "onnxruntime"), "server": ("onnxruntime",)}
CLASSES = 10
CALIBRATION, IMAGES = 32, 256


def generated(count: int, pixels: int, seed: int) -> Any:
    """Draw patches of random colours under noise, uint8 `[count,3,pixels,pixels]`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    patches = torch.nn.functional.interpolate(coarse, size=(pixels, pixels), mode="bilinear", align_corners=False)
    noise = torch.rand(count, 3, pixels, pixels, generator=generator)
    return ((0.75 * patches + 0.25 * noise) * 255).round().to(torch.uint8)


def drawn(name: str, pixels: int) -> Any:
    """Make a network with random weights of which none does nothing: no constant factors, no empty tokens."""
    import timm
    import torch

    from edgerift import images

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() == 1 or float(parameter.std()) > 1e-3:
                continue
            if float(parameter.abs().mean()) > 0.5:
                parameter.uniform_(0.7, 1.3)
            elif 0 < float(parameter.abs().mean()):
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


def measured(network: str, target: str) -> dict[str, Any]:
    """Adapt a network for a target, build it for each runtime, and compare."""
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
        row["departure"] = float((scores - wanted).square().mean().sqrt() / wanted.std())
    except EdgeriftError as error:
        return {**row, "refused": str(error), "seconds": time.monotonic() - started}
    for runtime in TARGETS[target]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = Path(folder) / f"model{deploy.RUNTIMES[runtime].suffix}"
                build = deploy.build(program, runtime, path, images=test)
                near = deploy.fidelity(program, build, test).as_dict()
                row["runtimes"][runtime] = {"integer_macs": build.integer_macs(), **near}
            except EdgeriftError as error:
                row["runtimes"][runtime] = {"refused": str(error)}
        print(json.dumps({**row, "seconds": time.monotonic() - started}), flush=True)
    return {**row, "seconds": time.monotonic() - started}


def in_a_child(network: str, target: str, limit: float) -> dict[str, Any]:
    """Measure in a process of its own; what it had printed counts when it is stopped."""
    command = [sys.executable, __file__, "--one", network, target]
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
        else f"{runtime} {found['equal_logits']:.4%} equal, integer {found['integer_macs']:.3f}"
        for runtime, found in row["runtimes"].items()
    ]
    ending = [row["stopped"]] if "stopped" in row else []
    return "; ".join([f"labels {row.get('agreement', 0):.0%} off {row.get('departure', 9):.2f}", *parts, *ending])


def main() -> None:
    """Measure what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seconds", type=float, default=550)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", nargs=2, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.one is not None:
        print(json.dumps(measured(*arguments.one)))
        return
    end = time.monotonic() + arguments.seconds
    for network in arguments.only or NETWORKS:
        for target in arguments.targets:
            content = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
            rows = content.get("results", {})
            if target in rows.get(network, {}) and not arguments.only:
                continue
            left = end - time.monotonic()
            if left < 20:
                return
            row = in_a_child(network, target, min(arguments.limit, left))
            print(f"{network} {target} {row.get('seconds', 0):.0f} s: {told(row)}", flush=True)
            if "stopped" in row and left < arguments.limit:
                return
            content = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
            content.setdefault("results", {}).setdefault(network, {})[target] = row
            arguments.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
