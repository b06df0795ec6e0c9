"""The engine's PGD compared with that of other libraries; see evade.py."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from contenders import EPSILON, STEP, STEPS, installed, versions
from stopwatch import Stopwatch, in_turns, ratios
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import adapt, deploy, images, zoo
from edgerift.evade import Attack, CrossEntropy, Pair, Steering, search_selected, select
from edgerift.evade._engine import Engine
from edgerift.evade._judge import Judge
from edgerift.evade._precision import steering_for

RAW = "raw gradients"
PGD = Attack(objective=CrossEntropy(), epsilon=EPSILON, step=STEP, steps=STEPS, stop="never")


def fitted(name: str, digits: images.ImageSet) -> nn.Module:
    """Make an untrained model fit images: ranges normalised layer by layer, logits of mean 0 and deviation 1.

    Its answers differ from image to image and can be changed, as a trained model's; cost asks for no more.
    """
    model = zoo.create(name, 10).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # One batch decides: a share of the first figures would shrink layer after layer.
    pixels = images.to_float(digits.images[:64])
    with torch.no_grad():
        model(pixels)
        logits = model.eval()(pixels)
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        deviation = (logits - logits.mean(0)).std()
        last.bias.sub_(logits.mean(0)).div_(deviation)
        last.weight.div_(deviation)
    return model


def raw_gradients(model: nn.Module, batch: Tensor, labels: Tensor) -> Callable[[], None]:
    """What every PGD has to do: 20 forward passes with their input gradients."""

    def run() -> None:
        for _ in range(STEPS):
            inputs = batch.detach().clone().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(inputs), labels), inputs)

    return run


def engine_runs(
    model: nn.Module, chosen: images.ImageSet, pair: Pair
) -> dict[str, Callable[[], tuple[Any, Stopwatch]]]:
    """The engine's PGD on the float model, judged at the end alone, where the model says it is near, or always."""
    same = deploy.folded(model)
    selection = select(pair, chosen, eligible_only=False)

    def at_the_end() -> tuple[Any, Stopwatch]:
        watch = Stopwatch()
        victim = watch.victim(pair)
        steers = steering_for(PGD, Steering(original=same, adapted=(same,)), pair).steering
        steering = watch.steering(steers)
        with watch.running():
            judge = Judge(victim, PGD)
            attack = PGD.replace(ask="near")
            engine = Engine(
                chosen.images, chosen.labels, attack, attack.objective, steering, judge, slack=-torch.inf, batch_size=64
            )
            for _ in engine.run():
                pass
        return engine.trace, watch

    def searched(ask: str) -> tuple[Any, Stopwatch]:
        watch = Stopwatch()
        victim, steering = watch.victim(pair), Steering(original=same, adapted=(same,))
        with watch.running():
            evasion = search_selected(victim, chosen, selection, PGD.replace(ask=ask), steering=steering)
        return evasion, watch

    return {
        "edgerift, judged at the end": at_the_end,
        "edgerift, judged where near": partial(searched, "near"),
        "edgerift, judged always": partial(searched, "always"),
    }


def against_libraries(name: str, batch: int, turns: int) -> dict[str, Any]:
    """Compare one model and batch size; the labels are the model's own answers, so that it starts out right."""
    digits = images.load("digits", size=32)
    model = fitted(name, digits.train)
    chosen = digits.test.select(torch.arange(batch))
    # The other libraries are told of images of three channels.
    chosen = dataclasses.replace(chosen, images=images.in_channels(chosen.images, 3), in_colour=True)
    chosen = dataclasses.replace(chosen, labels=deploy.twin_scores(model, chosen.images).argmax(1))
    pixels, labels = images.to_float(chosen.images), chosen.labels
    with tempfile.TemporaryDirectory() as folder:
        program = adapt.ptq(model, digits.train, target="mobile", calibration_images=64)
        pair = Pair(model, program, deploy.build(program, "executorch", Path(folder) / "model.pte"))
        works: dict[str, Callable[[], Any]] = {RAW: raw_gradients(model, pixels, labels)}
        works |= engine_runs(model, chosen, pair)
        works |= {library: partial(attack, pixels, labels) for library, attack in installed(model, batch).items()}
        spent, answers = in_turns(works, turns)
    rows: dict[str, Any] = {}
    for key, ratio in ratios(spent, RAW).items():
        rows[key] = {"seconds": statistics.median(spent[key]), "ratio": ratio}
        if key == RAW:
            rows[key] |= outcome(model, pixels, pixels, labels)
        elif key in versions():
            rows[key] |= outcome(model, answers[key].detach(), pixels, labels)
        else:
            trace, watch = answers[key]
            rows[key] |= outcome(model, images.to_float(trace.last), pixels, labels)
            rows[key] |= {
                "build queries per image": float(trace.build_questions.float().mean()),
                "original queries per image": float(trace.original_questions.float().mean()),
                "judges' share": watch.share("judges"),
                "engine's share": watch.rest(),
            }
    return rows


def outcome(model: nn.Module, final: Tensor, clean: Tensor, labels: Tensor) -> dict[str, float]:
    """Say what an attack reached: the loss on whole grey levels, the distances from them and from the clean images."""
    levels = (final * 255).round()
    return {
        "loss": float(F.cross_entropy(deploy.twin_scores(model, levels.to(torch.uint8)), labels)),
        "from the grid": float((final * 255 - levels).abs().max()),
        "from the image": float((levels - clean * 255).abs().max()),
    }
