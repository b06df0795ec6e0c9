"""Numbers and names as every report writes them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgerift.audit import Audit, ControlPart, EvasionPart, FindingPart, FlagPart, GatePart, TheftPart
from edgerift.defend import Defence
from edgerift.deploy import RUNTIMES, Target
from edgerift.errors import plain as plain
from edgerift.evade import Attack
from edgerift.extract import Theft
from edgerift.harden import paper_name
from edgerift.images import Size, extent
from edgerift.measure import Interval, interval, rate_of
from edgerift.report.shared._verified import verified_words
from edgerift.verify import Verification

_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_LEAST_P = 0.001
_SIGNIFICANT = 0.05


def percent(share: float, decimals: int = 1) -> str:
    """Write a share in percent; only exact 0 and 1 are written as 0 % and 100 %; a loss has a minus sign.

    >>> percent(0.97428), percent(0.0001), percent(1.0), percent(-0.0)
    ('97.4\\xa0%', '<\\xa00.1\\xa0%', '100.0\\xa0%', '0.0\\xa0%')
    >>> percent(-0.0321), percent(-0.0001), percent(0.99999, 2)
    ('−3.2\\xa0%', '>\\xa0−0.1\\xa0%', '>\\xa099.99\\xa0%')
    """
    size, least = abs(100 * share), 10.0**-decimals
    sign, less, more = (_MINUS, ">", "<") if share < 0 else ("", "<", ">")
    if 0 < size < least / 2:
        return f"{less}{_SPACE}{sign}{least:.{decimals}f}{_SPACE}%"
    if 100 - least / 2 <= size < 100:
        return f"{more}{_SPACE}{sign}{100 - least:.{decimals}f}{_SPACE}%"
    return f"{sign}{size:.{decimals}f}{_SPACE}%"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points, with its sign unless it rounds to zero.

    >>> points(0.0321), points(-0.0321), points(-0.0001)
    ('+3.2', '−3.2', '0.0')
    """
    size = fixed(abs(100 * difference), 1)
    return size if not float(size) else f"{_MINUS if difference < 0 else '+'}{size}"


def fixed(value: float, decimals: int) -> str:
    """Write a value with the given number of decimals; zero has no sign.

    >>> fixed(0.91249, 3), fixed(-0.0001, 3), fixed(-0.25, 1)
    ('0.912', '0.000', '−0.2')
    """
    text = f"{abs(value):.{decimals}f}"
    return f"{_MINUS}{text}" if value < 0 and float(text) else text


def bounds(interval: Interval) -> str:
    """Write the 95 % interval in percent.

    >>> bounds(Interval(value=0.9, low=0.782, high=0.967, successes=45, trials=50))
    '[78.2,\\xa096.7]'
    """
    return f"[{fixed(100 * interval.low, 1)},{_SPACE}{fixed(100 * interval.high, 1)}]"


def rate(interval: Interval) -> str:
    """Write a rate with its interval, without the counts."""
    return f"{percent(interval.value)} {bounds(interval)}"


def p_value(p: float) -> str:
    """Write a p-value.

    >>> p_value(2e-9), p_value(0.0312), p_value(1.0)
    ('p < 0.001', 'p = 0.031', 'p = 1.000')
    """
    return f"p < {_LEAST_P}" if p < _LEAST_P else f"p = {p:.3f}"


def gate_numbers(rule: GatePart) -> tuple[str, str]:
    """Write what a rule measured and what it allows: counts as integers, shares in percent, a p-value."""
    if rule.unit == "p" and rule.measured is not None and rule.limit is not None:
        return p_value(rule.measured), _number(rule.limit)
    write = percent if rule.unit == "share" else _number
    measured, limit = ("–" if value is None else write(value) for value in (rule.measured, rule.limit))
    return measured, limit


def attack_words(attack: Attack) -> str:
    """Describe an attack in a few words.

    >>> attack_words(Attack())
    'pair-margin, 8 grey levels, 20 sign steps of 1, clean start'
    """
    if attack.own is not None:
        return f"your own {attack.own.name}, {levels(attack.epsilon)}, a budget of {attack.steps}"
    if attack.ensemble is not None:
        return f"{attack.ensemble}, {levels(attack.epsilon)}, a budget of {attack.steps}"
    kind = attack.objective.type
    starts = f"{attack.start} start" if attack.restarts == 1 else f"{attack.restarts} starts, the first {attack.start}"
    size = f"of {attack.step:.3g}" if attack.schedule == "constant" else f"shrinking from {attack.step:.3g}"
    steps = f"{attack.steps} {attack.rule} step{'' if attack.steps == 1 else 's'} {size}"
    return f"{kind}, {levels(attack.epsilon)}, {steps}, {starts}"


def levels(count: int) -> str:
    """Write a number of grey levels.

    >>> levels(1), levels(8)
    ('1 grey level', '8 grey levels')
    """
    return f"{count} grey level{'' if count == 1 else 's'}"


def size_words(size: Size) -> str:
    """Write the size of images, in pixels; of squares, both sides.

    >>> size_words(32), size_words((96, 160))
    ('32 by 32', '96 by 160')
    """
    height, width = extent(size)
    return f"{height} by {width}"


def sentence(text: str) -> str:
    """Write a phrase as a sentence; no phrase, or the phrase `none`, is no sentence.

    >>> sentence("raise the steps"), sentence("none")
    ('Raise the steps.', '')
    """
    text = text.strip()
    if text in ("", "none"):
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def spoken(flag: FlagPart) -> str:
    """Say what a check observed, and what to do about it."""
    return " ".join(filter(None, (sentence(flag.seen), sentence(flag.action))))


def control_words(evasion: EvasionPart, control: ControlPart) -> str:
    """Say whether the main attack's success is due to quantization or to what was done in float alone."""
    found = evasion.main.evasive
    apart = (
        f"{percent(found.value)} on the build, {percent(control.evasive.value)} on the control, {p_value(control.p)}"
    )
    if control.p >= _SIGNIFICANT:
        return f"Not significant: {control.change} alone can explain the gap: {apart}."
    if found.value > control.evasive.value:
        return f"Quantization opens a larger gap than {control.change} alone: {apart}."
    return f"{control.change.capitalize()} alone opens a larger gap than the build has: {apart}."


def class_name(classes: Sequence[str], label: int) -> str:
    """Name a class by its number."""
    return classes[label] if 0 <= label < len(classes) else f"class {label}"


class Outcome(NamedTuple):
    """The sentence about what was found, in three parts; the first and the last hold its numbers."""

    counts: str
    middle: str
    rate: str

    def __str__(self) -> str:
        """Write the sentence."""
        return " ".join(self)


def outcomes(audit: Audit) -> tuple[Outcome, ...]:
    """Say in one sentence for each threat what was found."""
    evasion = () if audit.evasion is None else (evasion_outcome(audit.evasion),)
    theft = () if audit.theft is None else (theft_outcome(audit.theft),)
    tampering = () if audit.tampering is None else (tampering_outcome(audit.tampering),)
    return evasion + theft + tampering


def evasion_outcome(evasion: EvasionPart) -> Outcome:
    """Say in one sentence what the main attack found."""
    found = evasion.main
    count, total = found.evasive.successes, found.evasive.trials
    middle = (
        f"images that both models classify correctly could be perturbed, by at most {levels(found.attack.epsilon)} "
        "in any pixel, so that the original stays right and the build is wrong:"
    )
    if found.evasive_answered is not None:
        middle = middle.replace("the build is wrong", "the build answers, wrongly")
    return Outcome(f"{count or 'None'} of {total}", middle, f"{rate(found.evasive)}.")


def theft_outcome(theft: TheftPart) -> Outcome:
    """Say in one sentence what the strongest attacker achieved."""
    if theft.has_collapsed:
        return Outcome(
            "No verdict",
            "on theft: the build is not clearly better than always predicting one class, so that a copy of it proves "
            "nothing; a clone agrees with it on",
            f"{rate(agreed(theft.best))} of the test images.",
        )
    best = theft.best
    asked = f"An attacker with {best.spent:,} quer{'y' if best.spent == 1 else 'ies'}"
    return Outcome(asked, "gets a clone that agrees with the build on", f"{rate(agreed(best))} of the test images.")


def tampering_outcome(found: Verification) -> Outcome:
    """Say in one sentence whether the build is what it claims to be."""
    return Outcome(*verified_words(found))


def agreed(theft: Theft) -> Interval:
    """Give the share of the test images on which build and clone agree."""
    return interval(rate_of(theft.disagreement).complement)


def subject(audit: Audit) -> str:
    """Name what was audited: the model or its file, the images, and how and for what the build was made.

    An audit that was written without the model's name leaves it out.
    """
    pair = audit.pair
    named = pair.original_file or pair.model
    model = "" if named is None else f"{named} on "
    return f"{model}{audit.data.name}, {pair.adaptation} on {pair.runtime}"


def replay_command(audit: Audit, finding: FindingPart, folder: Path = Path()) -> str:
    """Write the command that judges a finding of the audit in `folder` again, as a shell takes it.

    It has `--trust` where replaying runs code: machine code in the build, or a factory of the user's own.
    """
    own = audit.pair.model is not None and ":" in audit.pair.model
    runtime = audit.pair.fingerprint.runtime
    trust = " --trust" if own or (runtime in RUNTIMES and RUNTIMES[runtime].runs_code) else ""
    path = str(folder / "findings" / f"{finding.id}.json")
    # What begins with a dash would be read as an option.
    return f"edgerift replay {shlex.quote(f'./{path}' if path.startswith('-') else path)}{trust}"


def figure(value: object) -> str:
    """Write a setting or a strength, a number to four digits.

    >>> figure(0.123412), figure(2), figure("exact")
    ('0.1234', '2', 'exact')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def defence_words(defence: Defence) -> str:
    """Describe a defence by its name, its strength and its non-default settings.

    >>> from edgerift.defend import ReverseSigmoid
    >>> defence_words(ReverseSigmoid(beta=0.3125, form="clamped-odds"))
    'reverse-sigmoid, beta 0.3125, form clamped-odds'
    """
    usual = {field: known.default for field, known in type(defence).model_fields.items() if field != "type"}
    said = [field for field in usual if field == defence.strength_field or getattr(defence, field) != usual[field]]
    return ", ".join([defence.type, *(f"{field} {figure(getattr(defence, field))}" for field in said)])


def paper_note(target: Target) -> str:
    """Say where the paper's results for a target come from."""
    name = paper_name(target)
    tables = "table V" if name == "mobile" else "tables III and IV"
    return (
        f"The paper's figures are those of {tables} of arXiv:2512.23948, for a ResNet-18 victim that it calls {name} "
        "and a soft-label attacker."
    )


def as_json(value: object) -> str:
    """Write plain values as indented JSON, with the keys in their own order."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _number(value: float) -> str:
    # Nothing is added but to a zero with a sign, which loses it.
    value += 0.0
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"
