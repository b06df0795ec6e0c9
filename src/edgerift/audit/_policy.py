"""The gate: which figures an audit may have, as a file that is reviewed with the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from edgerift.audit._document import Examined, GatePart
from edgerift.audit._document_evasion import EvasionPart
from edgerift.audit._document_pair import FlagPart, PairPart
from edgerift.audit._document_theft import TheftPart
from edgerift.audit._frameworks import CATALOGUES
from edgerift.settings import LARGEST_YAML, Document, Settings, read_yaml, settings_of
from edgerift.verify import Verification

#: The rules whose figures are counts; all others are shares.
_COUNTED: Final = frozenset({"attacked", "errors", "warnings", "deviations", "undecided"})

#: The threat that a rule is about; others are about the pair or about the evaluation.
_THREATS: Final = {
    **dict.fromkeys(("evasive", "evasive_last", "fleet_apart", "forced_abstention"), "evasion"),
    **dict.fromkeys(("stolen", "stolen_accuracy"), "theft"),
    **dict.fromkeys(("deviations", "undecided"), "tampering"),
}

_UPPER: Final = "upper confidence bound of"

# Strict, for `evasive: true` would be a limit of 1.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Count = Annotated[int, Field(ge=0, le=10**12, strict=True)]


class Policy(Settings):
    """What an audit has to hold; a field that is None is not judged.

    Shares are in [0, 1]. Limits on rates are limits on the upper bound of the exact 95 % confidence interval, so that
    few images cannot pass by luck. Rules about a threat are judged where that threat was examined. A build that is
    not clearly better than always predicting one class has no verdict on theft, and does not hold these rules.

    - `evasive`, `evasive_last`: of the main attack, at any iterate and at the last, among all attacked images; with a
      guard those that the build answers wrongly, whether or not it answered them before the attack.
    - `fleet_apart`: images on which some sets of kernels of one file are right and others wrong, where the audit covers
      several.
    - `forced_abstention`: images whose answer an attacker can take away; without a guard there are none.
    - `coverage`: the least share of clean test images that are answered, by the lower bound of the interval.
    - `stolen`: the share of test images to which the build and its most faithful clone give the same label.
    - `stolen_accuracy`: the accuracy of the most accurate clone.
    - `clean_disagreement`: images that only the original gets right, before any attack.
    - `accuracy_drop`: how far the build's accuracy may lie below the original's (no interval).
    - `integer_macs`: the least share of multiply-accumulates in integer kernels.
    - `deviations`: how many checks of the build against its original may deviate.
    - `undecided`: how many of them may be unable to tell, where the whole verification cannot.
    - `attacked`: the least number of attacked images.
    - `errors`, `warnings`: how many checks of the evaluation may be at that level.
    """

    evasive: Share | None = 0.10
    evasive_last: Share | None = None
    fleet_apart: Share | None = None
    forced_abstention: Share | None = None
    coverage: Share | None = None
    stolen: Share | None = 0.90
    stolen_accuracy: Share | None = None
    clean_disagreement: Share | None = None
    accuracy_drop: Share | None = None
    integer_macs: Share | None = None
    deviations: Count | None = 0
    undecided: Count | None = None
    attacked: Count | None = None
    errors: Count | None = 0
    warnings: Count | None = None


def read_policy(path: Path) -> Policy:
    """Read a policy from a YAML file or a pipe; raises `InputError` for what is none, naming line and field."""
    document = Document(path, "policy", "give a YAML file", most=LARGEST_YAML, may_be_pipe=True)
    return settings_of(read_yaml(document, "write for instance 'evasive: 0.10'"), Policy, document)


def judge(audit: Examined, policy: Policy) -> tuple[GatePart, ...]:
    """Judge an audit's figures by a policy, one part a rule."""
    rules = (
        *(_evasion_rules(audit.evasion, policy) if audit.evasion is not None else ()),
        *(_theft_rules(audit.theft, policy) if audit.theft is not None else ()),
        *(_tampering_rules(audit.tampering, policy) if audit.tampering is not None else ()),
        *_pair_rules(audit.pair, policy),
        *_check_rules(audit.flags, policy),
    )
    return tuple(rule for rule in rules if rule is not None)


def _evasion_rules(part: EvasionPart, policy: Policy) -> tuple[GatePart | None, ...]:
    main = part.main
    last = None if main.evasive_last is None else main.evasive_last.high
    return (
        _most("evasive", f"{_UPPER} the evasive rate", main.evasive.high, policy.evasive),
        _most("evasive_last", f"{_UPPER} the evasive rate at the last iterate", last, policy.evasive_last),
        None
        if part.fleet is None
        else _most(
            "fleet_apart",
            f"{_UPPER} the share of images on which kernels of one file disagree",
            part.fleet.apart.high,
            policy.fleet_apart,
        ),
        _most(
            "forced_abstention",
            f"{_UPPER} the share of answered images that can be made unanswered",
            0.0 if part.forced_abstention is None else part.forced_abstention.high,
            policy.forced_abstention,
        ),
        _least("attacked", "number of attacked images", float(part.attacked), policy.attacked),
    )


def _theft_rules(part: TheftPart, policy: Policy) -> tuple[GatePart | None, ...]:
    agreement = f"{_UPPER} the agreement between the build and its most faithful clone"
    best = f"{_UPPER} the accuracy of the best clone"
    if part.has_collapsed:
        why = "(no verdict: the build is not clearly better than always predicting one class)"
        return (
            _most("stolen", f"{agreement} {why}", None, policy.stolen),
            _most("stolen_accuracy", f"{best} {why}", None, policy.stolen_accuracy),
        )
    accuracy = max(1 - theft.adversary_error.low for theft in part.thieves.values())
    return (
        _most("stolen", agreement, 1 - part.best.disagreement.low, policy.stolen),
        _most("stolen_accuracy", best, accuracy, policy.stolen_accuracy),
    )


def _tampering_rules(part: Verification, policy: Policy) -> tuple[GatePart | None, ...]:
    verdicts = [check.verdict for check in part.checks]
    unknown = verdicts.count("unknown") if part.verdict == "unknown" else 0
    return (
        _most(
            "deviations",
            "number of checks by which the build deviates from its original",
            float(verdicts.count("deviates")),
            policy.deviations,
        ),
        _most("undecided", "number of checks that cannot tell what the build is", float(unknown), policy.undecided),
    )


def _pair_rules(pair: PairPart, policy: Policy) -> tuple[GatePart | None, ...]:
    drop = pair.original_accuracy.value - pair.build_accuracy.value
    return (
        _most(
            "clean_disagreement",
            f"{_UPPER} the share of clean images that only the original classifies correctly",
            pair.only_original_right.high,
            policy.clean_disagreement,
        ),
        _most("accuracy_drop", "accuracy lost by the build", drop, policy.accuracy_drop),
        _least(
            "coverage",
            "lower confidence bound of the share of clean images answered",
            1.0 if pair.guard is None else pair.guard.coverage.low,
            policy.coverage,
        ),
        _least("integer_macs", "share of integer arithmetic", pair.integer_macs, policy.integer_macs),
    )


def _check_rules(flags: tuple[FlagPart, ...], policy: Policy) -> tuple[GatePart | None, ...]:
    at_level = {level: float(sum(flag.level == level for flag in flags)) for level in ("error", "warning")}
    return (
        _most("errors", "number of errors among the checks", at_level["error"], policy.errors),
        _most("warnings", "number of warnings among the checks", at_level["warning"], policy.warnings),
    )


def _most(rule: str, what: str, measured: float | None, limit: float | None) -> GatePart | None:
    if limit is None:
        return None
    holds = measured is not None and measured <= limit
    return _part(rule, f"{what} at most", measured, limit, holds)


def _least(rule: str, what: str, measured: float, limit: float | None) -> GatePart | None:
    if limit is None:
        return None
    return _part(rule, f"{what} at least", measured, limit, measured >= limit)


def _part(rule: str, what: str, measured: float | None, limit: float, holds: bool) -> GatePart:
    unit: Literal["share", "count"] = "count" if rule in _COUNTED else "share"
    written = f"{limit:g}" if unit == "count" else f"{100 * limit:g} %"
    return GatePart(
        rule=rule,
        unit=unit,
        text=f"{what} {written}",
        measured=measured,
        limit=limit,
        holds=holds,
        maps_to=CATALOGUES.get(_THREATS.get(rule, ""), ()),
    )
