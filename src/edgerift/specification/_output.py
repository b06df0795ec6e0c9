"""What a model answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from torch import Tensor

from edgerift.errors import ModelError, unknown_name
from edgerift.measure import LogitsReader, log_probabilities, tensor_of
from edgerift.settings import Settings
from edgerift.specification._field import field
from edgerift.specification._quantization import Quantization

#: What objects that hold several outputs call the one with the scores.
_SCORES = "logits"


class OutputSpecification(Settings):
    """What a model answers; by default logits, or probabilities that are recognised as such.

    `kind` says which; without it the answers themselves tell. `quantization` is for scores in whole numbers.
    `background` is a class that the images do not have, the first or the last, which is dropped. Of several outputs
    `name` or `index`, counted from 0, picks one.

    Raises `RecipeError` for a value that is not allowed.
    """

    name: str = field("")
    index: Annotated[int, Field(ge=0, le=65536)] | None = field(None)
    kind: Literal["logits", "probabilities", "log-probabilities"] | None = field(None)
    quantization: Quantization | None = field(None)
    background: Literal["first", "last"] | None = field(None)

    @model_validator(mode="after")
    def _check(self) -> OutputSpecification:
        if self.name and self.index is not None:
            raise ValueError(f"name is '{self.name}' and index {self.index}; one of them picks the output")
        return self

    def read(self, answer: Any, whose: str = "the model") -> Tensor:
        """Read an answer as logits float32 `[N,K]`, with their gradient; without a `kind` they are taken for logits.

        Raises `ModelError`, which names the model as `whose`, for an answer with no or several outputs that could be
        the scores, and for one that has not a row for each image.
        """
        return self.meant(self.scores(answer, whose))

    def reader(self, whose: str = "the model") -> Callable[[Any], Tensor]:
        """Make a function that reads answers as `read` does; without a `kind` the first that tell decide for all.

        Probabilities are then recognised as :class:`~edgerift.measure.Logits` does it.
        """
        if self.kind is not None:
            return lambda answer: self.read(answer, whose)
        recognise = LogitsReader(whose)
        return lambda answer: self._kept(recognise(self.scores(answer, whose)))

    def scores(self, answer: Any, whose: str = "the model") -> Tensor:
        """Take the scores out of an answer, float32 `[N,K]` and dequantized, whatever they mean; see `read`."""
        picked = tensor_of(self._picked(answer, whose), whose)
        shape = tuple(picked.shape)
        if len(shape) > 2 and set(shape[2:]) == {1}:
            picked = picked.flatten(1)
        if picked.ndim != 2 or picked.shape[1] < self._dropped + 1 or picked.is_complex():
            raise ModelError(f"{whose} answers with shape {list(shape)}; needed: scores [N, classes]")
        return picked.float() if self.quantization is None else self.quantization.dequantized(picked)

    @property
    def _dropped(self) -> int:
        return 0 if self.background is None else 1

    def meant(self, scores: Tensor) -> Tensor:
        """Turn scores that `scores` took out of an answer into logits."""
        return self._kept(log_probabilities(scores) if self.kind == "probabilities" else scores)

    def _kept(self, logits: Tensor) -> Tensor:
        if self.background is None:
            return logits
        return logits[:, 1:] if self.background == "first" else logits[:, :-1]

    def _picked(self, answer: Any, whose: str) -> Any:
        """Take one output of a tuple, a mapping or an object with fields."""
        outputs = _outputs(answer)
        if self.index and (outputs is None or len(outputs) == 1):
            raise ModelError(f"{whose} has one output; index {self.index} picks none of it, leave it out")
        if outputs is None:
            return answer
        if self.name:
            if self.name not in outputs:
                raise ModelError(f"{whose}: {unknown_name('output', self.name, outputs)}")
            return outputs[self.name]
        if self.index is not None:
            if self.index >= len(outputs):
                raise ModelError(f"{whose} has outputs 0 to {len(outputs) - 1}; index {self.index} picks none")
            return list(outputs.values())[self.index]
        return _only(outputs, whose)


def _outputs(answer: Any) -> dict[str, Any] | None:
    """Name the outputs of an answer that holds several; None for a plain one."""
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in answer.items() if value is not None}
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        return {name: getattr(answer, name) for name in answer._fields if getattr(answer, name) is not None}
    if isinstance(answer, tuple) or (isinstance(answer, list) and any(hasattr(item, "shape") for item in answer)):
        return {str(place): value for place, value in enumerate(answer)}
    if not hasattr(answer, "shape") and hasattr(answer, _SCORES):
        return {_SCORES: getattr(answer, _SCORES)}
    return None


def _only(outputs: dict[str, Any], whose: str) -> Any:
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    if _SCORES in outputs:
        return outputs[_SCORES]
    listed = ", ".join(f"{name} {_shape(value)}" for name, value in outputs.items()) or "none"
    raise ModelError(f"{whose} has {len(outputs)} outputs: {listed}; pick the scores with index=N or output.name=NAME")


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else str(list(shape))
