"""The options of data-free extraction: `edgerift extract --attack dfme` and the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import PositiveFloat

from edgerift import extract, images, zoo
from edgerift.cli._fields import Shown
from edgerift.cli._theft import TheftOptions, clone_network
from edgerift.errors import InputError
from edgerift.extract import DATA_FREE
from edgerift.settings import Count, Parts, Settings, Times, parse_json

_BUDGET: Final = 20_000_000
#: What is enough for digits on a laptop: fewer queries, in smaller batches, of a smaller generator.
_DIGITS_BUDGET: Final = 250_000
#: Clones that disagree learn more from each query, and take more steps on it.
_DIGITS_DISGUIDE_BUDGET: Final = 40_000
_DIGITS: Final[dict[str, Any]] = {"batch_size": 64, "width": 32, "latent": 64}


if TYPE_CHECKING:
    AttackChoice: TypeAlias = str
else:
    AttackChoice = Literal["knockoff", *DATA_FREE.names()]

_LISTED: Final = "; ".join(f"{name}: {published.about.replace('`', '')}" for name, published in DATA_FREE.items())
_ATTACK: Final = Shown(
    group="theft",
    text="knockoff queries the images of --queries; the others generate their queries",
    details=f"Their default --budget is 250000 for digits (disguide: 40000), else 20000000. {_LISTED}",
)


#: What belongs to an attacker with images of its own.
_OF_A_SET: Final = (
    "queries",
    "query_policy",
    "clone_epochs",
    "clone_distortion",
    "clone_mixup",
    "clone_start",
)


class DataFreeOptions(Settings):
    """How an attacker without images steals a model, with a generator that makes the queries."""

    attack: Annotated[AttackChoice, _ATTACK] = "knockoff"
    epsilon: Annotated[PositiveFloat | None, Shown(default="0.001, too small for int8 to resolve")] = None
    """step of the finite differences, before the tanh"""
    directions: Annotated[Times | None, Shown(default="1 for dfme, 10 for maze")] = None
    """random directions per gradient estimate"""
    scheme: Annotated[Literal["forward", "central"] | None, Shown(default="forward")] = None
    """forward or central finite differences"""
    antithetic: bool = False
    """use each random direction together with its opposite"""
    split: bool = False
    """backpropagate through the clone; use finite differences for the victim's predictions only"""
    positives: Count | None = None
    """give the attacker N of the victim's training images, which the generator learns to imitate (MAZE-PD; the paper
    uses 100)"""
    latent: Annotated[Parts | None, Shown(default="64 for digits, else as published")] = None
    """size of the generator's latent vector"""
    width: Annotated[Parts | None, Shown(default="32 for digits, else 128")] = None
    """channels of the generator"""
    pixels: Annotated[
        Literal["whole", "float"] | None, Shown(default="float for a float victim, as published, else whole")
    ] = None
    """round generated images to whole grey levels, as the deployed build would, or leave them unrounded"""
    in_colour: bool = False
    """query a victim of greyscale images in colour too, as the published attacks do"""
    simulated: bool = False
    """attack a float simulation of the quantized program instead of the build; if only this succeeds, integer
    arithmetic stopped the attack"""
    change: Annotated[tuple[str, ...], Shown(metavar="FIELD=VALUE")] = ()
    """set another field of the attack: clone_steps=3, compile=true, rehearsal.steps=5, clone.milestones=[0.5];
    repeatable; the Python reference lists the fields under DataFree"""
    devices: Parts = 1
    """GPUs, or CPU processes without a GPU, that share each batch; needs edgerift[devices]"""
    curve_points: Parts = 20
    """number of points of the budget at which the clone is measured"""
    keep_answers: bool = False
    """store every prediction of the victim, not only the ledger's counts and checksums"""


def require_none_given(options: DataFreeOptions) -> None:
    """Raise :class:`~edgerift.errors.InputError` for options that the knockoff attack does not have."""
    _require_defaults(options, {"attack"}, "for the data-free attacks; choose one with --attack")


def data_free_budget(options: TheftOptions, victim: images.ImagesSettings, attack: extract.DataFree) -> int:
    """Compute how many generated images an attacker may query."""
    if options.budget is not None:
        return options.budget
    if victim.source != "digits":
        return _BUDGET
    return _DIGITS_DISGUIDE_BUDGET if attack.differences is None else _DIGITS_BUDGET


def data_free_thief(
    options: DataFreeOptions,
    stealing: TheftOptions,
    victim: images.ImagesSettings,
    architecture: str,
    *,
    seed: int,
    device: Literal["auto", "cpu", "cuda"],
) -> extract.DataFree:
    """Describe an attacker without images; see :func:`~edgerift.cli._theft.thief` for `architecture` and `seed`.

    Raises :class:`~edgerift.errors.InputError` for options of the knockoff attack.
    """
    given = next((f"--{name.replace('_', '-')}" for name in _OF_A_SET if _is_given(stealing, name)), None)
    if given is not None:
        raise InputError(
            f"{given} is for --attack knockoff; {options.attack} generates its queries and learns from each once"
        )
    student = clone_network(stealing, architecture)
    # What cannot be made fails now rather than after the victim was trained.
    zoo.create(student, 2, size=victim.size or 32)
    fields: dict[str, Any] = dict(_DIGITS) if victim.source == "digits" else {}
    for name, value in (
        ("batch_size", stealing.clone_batch_size),
        ("latent", options.latent),
        ("width", options.width),
    ):
        if value is not None:
            fields[name] = value
    if options.positives is not None:
        fields["positives"] = extract.Positives(count=options.positives)
    attack = extract.DataFree.model_validate(
        {
            "name": options.attack,
            **fields,
            "student": student,
            # Differences of answers steer the generator: what they lose in bfloat16 was not measured.
            "precision": "float32" if stealing.clone_precision == "auto" else stealing.clone_precision,
            "devices": options.devices,
            "device": device,
            "seed": seed + 1 if stealing.clone_seed is None else stealing.clone_seed,
        }
    )
    if stealing.clone_learning_rate is not None:
        attack = attack.replace(clone=attack.clone.replace(learning_rate=stealing.clone_learning_rate))
    return _changed(_with_differences(attack, options), options.change)


def _changed(attack: extract.DataFree, changes: Sequence[str]) -> extract.DataFree:
    """Change fields that are written as NAME=VALUE, with values as JSON or as bare words."""
    fields: dict[str, Any] = {}
    for change in changes:
        path, given, text = change.partition("=")
        name, dot, inner = path.partition(".")
        if not given or not name or name == "name" or bool(dot) != bool(inner):
            raise InputError(
                f"--change {change}: write NAME=VALUE, such as clone_steps=3 or rehearsal.steps=5; the attack itself "
                "is chosen with --attack"
            )
        if not inner:
            fields[name] = _value(text)
            continue
        part = fields.get(name, getattr(attack, name, None)) or {}
        if not isinstance(part, Settings | dict):
            raise InputError(f"--change {change}: {name} is {part!r}, which has no fields; write {name}=VALUE")
        fields[name] = {**(part if isinstance(part, dict) else part.model_dump()), inner: _value(text)}
    return attack.replace(**fields)


def _value(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _with_differences(attack: extract.DataFree, options: DataFreeOptions) -> extract.DataFree:
    asked: dict[str, Any] = {
        name: value for name in ("epsilon", "directions", "scheme") if (value := getattr(options, name)) is not None
    }
    asked |= {name: True for name in ("antithetic", "split") if getattr(options, name)}
    if not asked:
        return attack
    if attack.differences is None:
        raise InputError(f"--{next(iter(asked))}: {attack.name} uses no finite differences; leave it out")
    differences: extract.Differences = attack.differences.replace(**asked)
    return attack.replace(differences=differences, reuse=attack.reuse and differences.needs_middle)


def _is_given(options: Settings, name: str) -> bool:
    return bool(getattr(options, name) != type(options).model_fields[name].default)


def _require_defaults(options: Settings, but: set[str], why: str) -> None:
    for name in type(options).model_fields:
        if name not in but and _is_given(options, name):
            raise InputError(f"--{name.replace('_', '-')} is {why}")


def require_no_counter_attack(options: Settings, attack: str) -> None:
    """Raise :class:`~edgerift.errors.InputError` for a counter-attack, which an attack without images does not have."""
    _require_defaults(options, set(), f"for --attack knockoff; leave it out with {attack}")
