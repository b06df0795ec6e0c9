"""The quantizers whose rules a build can be held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edgerift.settings import Registry


@dataclass(frozen=True)
class Quantizer:
    """What a quantizer does to a float model.

    `rounding` is `nearest` where each code is the nearest to its weight, `chosen` where a loss picks one of the two
    neighbours, `trained` where the weights were trained first. `scales` is `ranges` where a weight's scale follows from
    its largest value. `biases` is `kept` where they are rounded alone, `corrected` where they are moved to make up for
    the rounding of the weights. One that is `recorded` is never guessed: its programs say that they are of it.
    """

    title: str
    rounding: Literal["nearest", "chosen", "trained"]
    scales: Literal["ranges", "any"] = "ranges"
    biases: Literal["kept", "corrected", "any"] = "kept"
    recorded: bool = False


QUANTIZERS: Final[Registry[Quantizer]] = Registry("quantizer")
"""The quantizers that are known, by the name that `--quantizer` takes."""

QUANTIZERS.register("ptq", Quantizer("edgerift's post-training quantization", "nearest"), rank=0)
QUANTIZERS.register("qat", Quantizer("quantization-aware training", "trained", "any", "any"), rank=1)
QUANTIZERS.register("onnxruntime", Quantizer("onnxruntime.quantization", "nearest"), rank=2)
QUANTIZERS.register("litert", Quantizer("the converter and the quantizer of LiteRT", "nearest"), rank=3)
QUANTIZERS.register("nncf", Quantizer("NNCF with its bias correction", "nearest", "any", "corrected"), rank=4)
QUANTIZERS.register("aimet", Quantizer("AIMET's simulation", "nearest", "any"), rank=5)
QUANTIZERS.register("brevitas", Quantizer("Brevitas after training", "nearest", "any"), rank=6)
QUANTIZERS.register("adaround", Quantizer("AdaRound and its like", "chosen", "any", "any"), rank=7)
QUANTIZERS.register("reround", Quantizer("edgerift's repair of roundings", "chosen", recorded=True), rank=8)


def quantizer_of_method(method: str) -> str:
    """Name the quantizer of an adaptation of edgerift's.

    >>> quantizer_of_method("ptq"), quantizer_of_method("divqat")
    ('ptq', 'qat')
    """
    return "ptq" if method == "ptq" else "qat"
