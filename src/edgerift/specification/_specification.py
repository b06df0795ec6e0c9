"""What goes into a model and what comes out."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from edgerift.settings import Settings
from edgerift.specification._field import field
from edgerift.specification._input import InputSpecification
from edgerift.specification._output import OutputSpecification

_Part = TypeVar("_Part", bound=Settings)


class Specification(Settings):
    """How a model wants its images and what it answers; the default is that of edgerift's own models.

    >>> Specification().is_default, Specification(input={"layout": "nhwc"}).input.layout
    (True, 'nhwc')
    """

    input: InputSpecification = field(InputSpecification())
    output: OutputSpecification = field(OutputSpecification())

    @property
    def is_default(self) -> bool:
        """Whether the model takes and answers what edgerift's own models do."""
        return self == Specification()

    def over(self, found: Specification) -> Self:
        """Return `found`, such as what a model's file says, with all that was set here in its place.

        Raises `RecipeError` where that gives two values that exclude each other.
        """
        return type(self)(input=_over(self.input, found.input), output=_over(self.output, found.output))


def _over(given: _Part, found: _Part) -> _Part:
    set_here: dict[str, Any] = {name: getattr(given, name) for name in given.model_fields_set}
    return found.replace(**set_here)
