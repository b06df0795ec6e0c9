"""Whether the biases are the original's, rounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from edgerift.verify._document import CheckPart, LayerPart, Place, Verdict
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._matching import HALF, Matched
from edgerift.verify._quantizers import QUANTIZERS
from edgerift.verify._rates import limit

#: What float32 and another order of folding move in a bias, over the layer's largest one.
_SAME: Final = 1e-4
_PLACES: Final = 20
#: Levels of an 8-bit input.
_LEVELS: Final = 255


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    layers = [layer for layer in evidence.layers if layer.stored.bias is not None]
    if not layers:
        return
    moved = {id(layer): _moved(layer) for layer in layers}
    wrong = [layer for layer in layers if bool((moved[id(layer)].abs() > 1).any())]
    shares = [share for layer in wrong if (share := _explained(layer)) is not None]
    corrected = max(shares, default=0.0)
    verdict = _judged(evidence, wrong, corrected if len(shares) == len(wrong) else float("inf"))
    names = ", ".join(layer.stored.name for layer in wrong[:5])
    text = f"all biases of {len(layers)} layers are the original's, rounded"
    if wrong:
        text = f"the biases of {names} are not the original's; the largest change is {corrected:.2f} of what the "
        text += "rounding of the weights can explain"
    yield CheckPart(
        name="biases",
        verdict=verdict,
        text=text,
        figures={"layers": float(len(layers)), "moved": float(len(wrong)), "correction": corrected},
        layers=tuple(_part(layer, moved[id(layer)]) for layer in layers),
        places=tuple(_places(wrong, moved))[:_PLACES],
        named=("bias correction",) if wrong and verdict == "unknown" else (),
    )


def _judged(evidence: Evidence, wrong: list[Matched], correction: float) -> Verdict:
    if not wrong:
        return "conforms"
    rules = evidence.rules
    if rules is not None and rules.biases == "any":
        return "unknown"
    if rules is not None and rules.biases == "kept":
        return "deviates"
    return "deviates" if correction > _largest_correction(evidence) else "unknown"


def _largest_correction(evidence: Evidence) -> float:
    """The largest correction that honest builds have, of the quantizer that is claimed, else of any."""
    names = [evidence.quantizer] if evidence.quantizer else list(QUANTIZERS.names())
    allowed = [limit("bias", name, evidence.training) for name in names if QUANTIZERS[name].biases == "corrected"]
    return max((one for one in allowed if one is not None), default=1.0)


def _expected(layer: Matched) -> Tensor:
    assert layer.stored.bias is not None
    bias = layer.original.bias
    return torch.zeros_like(layer.stored.bias) if bias is None else bias


def _moved(layer: Matched) -> Tensor:
    """The change of each bias, `[C_out]`, over what rounding explains."""
    bias, expected, step = layer.stored.bias, _expected(layer), layer.stored.bias_step
    assert bias is not None
    slack = _SAME * expected.abs().max() + 1e-9
    return (bias - expected) / (slack + (0 if step is None else HALF * step))


def _explained(layer: Matched) -> float | None:
    """The largest change of a bias over the largest that the rounding of its weights makes in any input.

    A correction of the biases undoes the mean of that, and of what the rounding of its input changes.
    """
    scale, bias = layer.stored.input_scale, layer.stored.bias
    if scale is None or bias is None or layer.stored.scale is None:
        return None
    rounded = (layer.stored.real - layer.weight).abs().flatten(1).sum(1) * scale * _LEVELS
    moved = (bias - _expected(layer)).abs()
    return float((moved / rounded.clamp_min(1e-30))[_moved(layer).abs() > 1].max())


def _part(layer: Matched, moved: Tensor) -> LayerPart:
    return LayerPart(
        layer=layer.stored.name,
        original=layer.original.name,
        weights=moved.numel(),
        figures={"largest": float(moved.abs().max()), "moved": float((moved.abs() > 1).double().mean())},
    )


def _places(wrong: list[Matched], moved: dict[int, Tensor]) -> list[Place]:
    places = []
    for layer in wrong:
        assert layer.stored.bias is not None
        for index in torch.nonzero(moved[id(layer)].abs() > 1)[:_PLACES].flatten().tolist():
            found, expected = float(layer.stored.bias[index]), float(_expected(layer)[index])
            places.append(Place(layer=layer.stored.name, index=(index,), found=found, expected=expected))
    return places


CHECKS.register("biases", Check(_run), rank=4)
