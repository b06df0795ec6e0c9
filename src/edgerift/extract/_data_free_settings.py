"""The settings of a data-free attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, final

from pydantic import Field, NonNegativeFloat, model_validator

from edgerift.errors import unknown_name
from edgerift.extract._difference_settings import Differences
from edgerift.extract._parts import Descent, Positives, Rehearsal
from edgerift.extract._published import DATA_FREE
from edgerift.extract._recovery import Loss
from edgerift.settings import BatchSize, Parts, Seed, Settings, Times, is_none

if TYPE_CHECKING:
    AttackName: TypeAlias = str
else:
    AttackName = Literal[DATA_FREE.names()]


@final
class DataFree(Settings):
    """An attacker without images: a generator makes the queries, and is trained to make what the clone gets wrong.

    `name`, one of those in :data:`DATA_FREE`, fills in what its publication says; any other field given goes before
    it, and a mapping changes some fields of a part.

    An iteration trains the generator for `generator_steps` batches and each clone for `clone_steps` batches of new
    images. With `differences` the generator climbs the estimated gradient of `loss`; without, the mean standard
    deviation of the clones' posteriors, so there have to be two or more `clones`; `diversity` weighs the entropy of the
    mean posterior, which keeps all classes in. `reuse` trains the clone's first batch on the images of the generator's
    last, which are paid for already. `grey` makes each so many-th image grey, before anybody sees it, by taking one
    of its channels, drawn, for all three. With `generator_mode` "eval" the images of the clones' steps come from the
    generator in evaluation mode, whose batch normalisation takes running statistics; None is as published: "eval" for
    DisGUIDE, "train" for the others. Clones are in evaluation mode while the generator learns. `latent` and `width` are
    the generator's, whose 128 channels cost a processor more than a small clone. `positives` teach the critic alone:
    the victim is not queried with them, and they are not rehearsed. `seed` draws all. On several `devices`, processes
    that work as one, each has its share of every batch, and batch normalisation and the balance of the classes are
    those of the share. `precision` is that of training; what the generator climbs is always computed in float32. MAZE's
    own clone, a WRN-22-2, is not in the zoo: both have DFME's.

    Raises :class:`~edgerift.errors.RecipeError` for parts that do not fit together.
    """

    name: AttackName
    student: str = "resnet34_8x"
    batch_size: BatchSize = 256
    latent: Parts = 256
    width: int = Field(default=128, ge=2)
    affine: bool = False
    generator_steps: Times = 1
    clone_steps: Times = 5
    clones: Parts = 1
    loss: Loss = "l1"
    differences: Differences | None = None
    summed: bool = False
    reuse: bool = False
    diversity: NonNegativeFloat = 0.0
    grey: Parts | None = None
    generator_mode: Literal["train", "eval"] | None = Field(default=None, exclude_if=is_none)
    rehearsal: Rehearsal | None = None
    positives: Positives | None = None
    generator: Descent = Descent(optimizer="adam", learning_rate=1e-4)
    clone: Descent = Descent()
    seed: Seed = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    devices: Parts = 1
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", exclude=True)
    compile: bool = Field(default=False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
            return fields
        if fields["name"] not in DATA_FREE:
            raise ValueError(unknown_name(DATA_FREE.kind, fields["name"], DATA_FREE.names()))
        published = dict(DATA_FREE[fields["name"]].settings)
        if fields.get("generator_mode", "") is None:
            fields = {name: value for name, value in fields.items() if name != "generator_mode"}
        parts = {name: field.default for name, field in cls.model_fields.items()} | published
        return {**published, **{name: _laid_over(parts.get(name), value) for name, value in fields.items()}}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.differences is None and self.clones < 2:
            raise ValueError("a generator needs a gradient: give differences, or two or more clones that can disagree")
        if self.differences is None and self.summed:
            raise ValueError("summed is for the estimated gradient of an attack with differences; leave it out")
        if self.differences is not None and self.diversity > 0:
            raise ValueError(
                "diversity is for attacks with several clones; this one uses finite differences; leave it out"
            )
        if self.differences is not None and self.loss == "cross-entropy":
            raise ValueError("labels do not change in small steps, so their differences are zero; use disguide-hard")
        if self.batch_size % self.devices:
            raise ValueError(
                f"{self.devices} devices share each batch evenly, which a batch_size of {self.batch_size} does not "
                "allow; give a multiple"
            )
        if self.reuse and (self.differences is None or not self.differences.needs_middle):
            raise ValueError("reuse needs a generator step that queries its images; use forward differences")
        return self

    @property
    def queries(self) -> int:
        """Queries per iteration."""
        probes = 0 if self.differences is None else self.generator_steps * self.differences.queries
        return self.batch_size * (probes + self.clone_steps - self.reuse)


def _laid_over(published: Any, given: Any) -> Any:
    """Let a mapping change some fields of a published part; all else takes its place."""
    if isinstance(published, Settings) and isinstance(given, dict):
        return {**published.model_dump(), **given}
    return given
