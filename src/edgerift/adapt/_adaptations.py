"""The adaptations by name: a method of quantization, a compression in float, or one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from edgerift.adapt._compression import COMPRESSIONS
from edgerift.errors import RecipeError, unknown_name

Method: TypeAlias = Literal["ptq", "qat"]

_METHODS: Final[dict[Method, str]] = {"ptq": "PTQ", "qat": "QAT"}


class Adaptation(NamedTuple):
    """What is done to an original: a compression by its name, then a method of quantization; either may be None."""

    title: str
    compression: str | None = None
    method: Method | None = None


def _listed() -> dict[str, Adaptation]:
    listed: dict[str, Adaptation] = {}
    for method, title in _METHODS.items():
        listed[method] = Adaptation(title, method=method)
    listed["finetune"] = Adaptation("float control")
    for name, kind in COMPRESSIONS.items():
        listed[name] = Adaptation(kind.title, name)
        for method, title in _METHODS.items():
            listed[f"{name}+{method}"] = Adaptation(f"{kind.title}, {title}", name, method)
    return listed


#: The adaptations of an original; `finetune` is the control that trains it further and changes nothing else.
ADAPTATIONS: Final[Mapping[str, Adaptation]] = _listed()
#: Those that end in int8.
QUANTIZED: Final[tuple[str, ...]] = tuple(name for name, made in ADAPTATIONS.items() if made.method is not None)

if TYPE_CHECKING:
    AdaptationName: TypeAlias = str
    QuantizedName: TypeAlias = str
    CompressionName: TypeAlias = str
else:
    AdaptationName = Literal[tuple(ADAPTATIONS)]
    QuantizedName = Literal[QUANTIZED]
    CompressionName = Literal[COMPRESSIONS.names()]


def adaptation(name: str) -> Adaptation:
    """Look an adaptation up; raises :class:`~edgerift.errors.RecipeError` for an unknown name.

    >>> adaptation("prune+qat")
    Adaptation(title='pruned, QAT', compression='prune', method='qat')
    """
    if name not in ADAPTATIONS:
        raise RecipeError(unknown_name("adaptation", name, ADAPTATIONS))
    return ADAPTATIONS[name]
