"""Which images an attacker queries: the interface of the policies, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from edgerift.settings import Registry, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgerift.extract._oracle import Oracle
    from edgerift.images import ImageSet
    from edgerift.steps import Progress


class Asking(NamedTuple):
    """What a policy works with.

    `queries` is the attacker's whole set of images, `seed` draws from it, and an image is asked about in `views` views.
    `read` makes what the attacker believes of answers float32 `[N,K]` to images: probabilities. `learn` trains a new
    substitute for so many epochs on images and such probabilities, in evaluation mode.
    """

    victim: Oracle
    queries: ImageSet
    seed: int
    views: int
    read: Callable[[Tensor, ImageSet], Tensor]
    learn: Callable[[ImageSet, Tensor, int], nn.Module]
    progress: Progress


class QueryPolicy(Settings, ABC):
    """How an attacker chooses the images that it pays for.

    `type` is a literal of one value, and the module registers the policy with :func:`query_policy`.
    """

    type: str

    @abstractmethod
    def collect(self, asking: Asking) -> tuple[ImageSet, Tensor]:
        """Ask; returns the images and what the attacker believes of their answers, float32 `[N,K]`.

        A run that was killed asks about the same images again, at no cost.
        """

    @abstractmethod
    def most(self, budget: int) -> int:
        """Count the images that a budget pays for, at most."""


QUERY_POLICIES: Final[Registry[type[QueryPolicy]]] = Registry("query policy", "edgerift.extract.policies")

_Policy = TypeVar("_Policy", bound=QueryPolicy)


def query_policy(cls: type[_Policy]) -> type[_Policy]:
    """Register a policy under the default of its `type`."""
    QUERY_POLICIES.register(cls.model_fields["type"].default, cls)
    return cls
