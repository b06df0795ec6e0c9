"""The options of the thefts without images: `edgerift extract --attack dfme` and the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import tyro
from pydantic import PositiveFloat

from edgerift import zoo
from edgerift.cli._theft import TheftOptions, clone_network
from edgerift.errors import InputError
from edgerift.extract import DATA_FREE, DataFree, Differences, Generator, Positives
from edgerift.images import ImagesSettings
from edgerift.settings import Count, Parts, Settings, Times, parse_json

_BUDGET: Final = 20_000_000
#: What is enough for digits on a laptop: fewer questions, in smaller batches, of a smaller generator.
_DIGITS_BUDGET: Final = 250_000
#: Clones that disagree learn more from each question, and take more steps on it.
_DIGITS_DISGUIDE_BUDGET: Final = 40_000
_DIGITS: Final[dict[str, Any]] = {"batch_size": 64, "width": 32, "latent": 64}


if TYPE_CHECKING:
    AttackChoice: TypeAlias = str
else:
    AttackChoice = Literal["knockoff", *DATA_FREE.names()]

_LISTED: Final = "; ".join(f"{name}: {published.about.replace('`', '')}" for name, published in DATA_FREE.items())
_ATTACKS_HELP: Final = f"knockoff queries images of another set; the others generate their queries. {_LISTED}"


class DataFreeOptions(Settings):
    """How a thief steals who has no images, and lets a generator make them."""

    attack: Annotated[AttackChoice, tyro.conf.arg(help=_ATTACKS_HELP)] = "knockoff"
    epsilon: PositiveFloat | None = None
    """how far a finite difference goes, before the tanh; 0.001 unless given, which is below what int8 can notice"""
    directions: Times | None = None
    """how many random directions a gradient is estimated from; 1 for dfme and 10 for maze unless given"""
    scheme: Literal["forward", "central"] | None = None
    """differences to one side, or to both sides; forward unless given"""
    antithetic: bool = False
    """take each direction with its opposite"""
    split: bool = False
    """differentiate through the clone, and take differences of the victim's answers alone"""
    positives: Count | None = None
    """so many training images of the victim that the thief has all the same: he learns to make the like (MAZE-PD; the
    publication has 100)"""
    latent: Parts | None = None
    """numbers that the generator makes an image of; the publication's unless given, 64 for digits"""
    width: Parts | None = None
    """channels of the generator; 128 unless given, 32 for digits"""
    pixels: Literal["whole", "float"] | None = None
    """answer generated images rounded to whole grey levels, as what ships does, or as they are, which only a float
    victim can; unless given, as they are where the victim can, as in the publications"""
    in_colour: bool = False
    """ask a victim of grey images in colour too, as the published attacks do; an API takes what no camera records"""
    simulated: bool = False
    """attack the program's quantized weights computed in float without rounding, in the place of the build: what stops
    an attack on the build and not on this was the arithmetic"""
    change: tuple[str, ...] = ()
    """another field of the attack as NAME=VALUE, that of a part with a dot: clone_steps=3, compile=true,
    rehearsal.steps=5 or clone.milestones=[0.5]; the Python reference lists them under DataFree"""
    devices: Parts = 1
    """GPUs of this machine, or processes where there is none, that share each batch; needs edgerift[devices]"""
    curve_points: Parts = 20
    """at how many places of the budget the clone is measured"""
    keep_answers: bool = False
    """keep all answers beside the ledger's counts and checksums"""


def require_none_given(options: DataFreeOptions) -> None:
    """Raise :class:`~edgerift.errors.InputError` for options that the knockoff attack does not have."""
    _require_defaults(options, {"attack"}, "for the attacks without images; choose one with --attack")


def data_free_budget(options: TheftOptions, victim: ImagesSettings, attack: DataFree) -> int:
    """Tell how many generated images a thief may ask about."""
    if options.budget is not None:
        return options.budget
    if victim.source != "digits":
        return _BUDGET
    return _DIGITS_DISGUIDE_BUDGET if attack.differences is None else _DIGITS_BUDGET


def data_free_thief(
    options: DataFreeOptions,
    stealing: TheftOptions,
    victim: ImagesSettings,
    architecture: str,
    *,
    seed: int,
    device: Literal["auto", "cpu", "cuda"],
) -> DataFree:
    """Describe a thief without images; see :func:`~edgerift.cli._theft.thief` for `architecture` and `seed`.

    Raises :class:`~edgerift.errors.InputError` for options of the knockoff attack and for images that no generator can
    make.
    """
    if stealing.queries is not None or stealing.thief_epochs is not None:
        given = "--queries" if stealing.queries is not None else "--thief-epochs"
        raise InputError(
            f"{given} is for --attack knockoff; {options.attack} makes its questions and learns as it asks"
        )
    student = clone_network(stealing, architecture)
    # What cannot be made fails now rather than after the victim was trained.
    zoo.create(student, 2, size=victim.size or 32)
    Generator(latent=1, size=victim.size or 32, width=2)
    fields: dict[str, Any] = dict(_DIGITS) if victim.source == "digits" else {}
    for name, value in (
        ("batch_size", stealing.thief_batch_size),
        ("latent", options.latent),
        ("width", options.width),
    ):
        if value is not None:
            fields[name] = value
    if options.positives is not None:
        fields["positives"] = Positives(count=options.positives)
    attack = DataFree.model_validate(
        {
            "name": options.attack,
            **fields,
            "student": student,
            "precision": stealing.thief_precision,
            "devices": options.devices,
            "device": device,
            "seed": seed + 1 if stealing.thief_seed is None else stealing.thief_seed,
        }
    )
    if stealing.thief_learning_rate is not None:
        attack = attack.replace(clone=attack.clone.replace(learning_rate=stealing.thief_learning_rate))
    return _changed(_with_differences(attack, options), options.change)


def _changed(attack: DataFree, changes: Sequence[str]) -> DataFree:
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


def _with_differences(attack: DataFree, options: DataFreeOptions) -> DataFree:
    asked: dict[str, Any] = {
        name: value for name in ("epsilon", "directions", "scheme") if (value := getattr(options, name)) is not None
    }
    asked |= {name: True for name in ("antithetic", "split") if getattr(options, name)}
    if not asked:
        return attack
    if attack.differences is None:
        raise InputError(f"--{next(iter(asked))}: {attack.name} takes no finite differences; leave it out")
    differences: Differences = attack.differences.replace(**asked)
    return attack.replace(differences=differences, reuse=attack.reuse and differences.needs_middle)


def _require_defaults(options: Settings, but: set[str], why: str) -> None:
    for name, field in type(options).model_fields.items():
        if name not in but and getattr(options, name) != field.default:
            raise InputError(f"--{name.replace('_', '-')} is {why}")


def require_no_counter_attack(options: Settings, attack: str) -> None:
    """Raise :class:`~edgerift.errors.InputError` for a counter-attack, which an attack without images does not have."""
    _require_defaults(options, set(), f"for --attack knockoff; leave it out with {attack}")
