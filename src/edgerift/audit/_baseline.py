"""An earlier audit as the bar: has the gap grown by more than chance?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.audit._document import Audit, Examined, GatePart
from edgerift.audit._document_evasion import AttackPart, EvasionPart
from edgerift.audit._document_pair import DataPart
from edgerift.audit._evidence import SAMPLES
from edgerift.audit._frameworks import EVASION
from edgerift.errors import InputError, RecipeError
from edgerift.evade import Attack
from edgerift.images import size_text
from edgerift.measure import fisher, mcnemar, rate_of
from edgerift.settings import Document, is_file, is_folder, parse_json

_ADVICE: Final = "`edgerift audit --out DIR` writes it"
_VERSION: Final[int] = Audit.model_fields["version"].default

#: Worse by chance with at most this probability.
_SIGNIFICANT: Final = 0.05

#: Images are compared one by one where at least this share of the smaller audit's are in both.
_SHARED: Final = 0.5


def read_audit(path: Path) -> Audit:
    """Read an `audit.json`, or the one in a folder; raises `InputError` for anything else."""
    file = path / "audit.json" if is_folder(path) else path
    content = Document(file, "audit", _ADVICE).content()
    try:
        return Audit.model_validate_json(content)
    except RecipeError as error:
        written = _version(content)
        if written is not None and written < _VERSION:
            raise InputError(
                f"{file} is an audit of version {written}, this edgerift reads version {_VERSION}; audit that pair "
                "again"
            ) from None
        raise InputError(f"{file} is no audit of this version: {error}") from None


def _version(content: bytes) -> int | None:
    """Tell the version of an audit's document; None for what is none."""
    try:
        document = parse_json(content)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("type") != "audit":
        return None
    number = document.get("version")
    return number if isinstance(number, int) else None


def judge_baseline(audit: Examined, samples: str, path: Path) -> GatePart:
    """Tell whether significantly more images evade than in an earlier audit; `samples` are this audit's lines.

    Where the earlier folder has its samples and most images were attacked in both, those that only one of them found
    are compared by McNemar's test; otherwise the two rates by Fisher's exact test. Both are two-sided, and only a rise
    fails. Raises `InputError` for a baseline that cannot be read, is of other test images or was attacked otherwise.
    """
    earlier = read_audit(path)
    now = _evasion(audit).main
    before = require_comparable(now.attack, audit.data, earlier)
    present, past = _evasive(samples), _earlier_evasive(path)
    common = present.keys() & past.keys()
    if common and len(common) >= _SHARED * min(len(present), len(past)):
        only_now = sum(present[index] and not past[index] for index in common)
        only_before = sum(past[index] and not present[index] for index in common)
        p, worse = mcnemar(only_now, only_before), only_now > only_before
        seen = f"of {len(common)} images attacked in both, {only_now} evade only now and {only_before} only before"
    else:
        p, worse = fisher(rate_of(now.evasive), rate_of(before.evasive)), now.evasive.value > before.evasive.value
        seen = f"the evasive rate was {before.evasive.value:.1%} and is {now.evasive.value:.1%}"
    return GatePart(
        rule="baseline",
        unit="p",
        text=f"not significantly worse than the baseline (p < {_SIGNIFICANT:g}): {seen}",
        measured=p,
        limit=_SIGNIFICANT,
        holds=not (worse and p < _SIGNIFICANT),
        maps_to=EVASION,
    )


def require_baseline(now: Attack, data: DataPart, path: Path) -> None:
    """Make sure, before the work, that an earlier audit can be compared; raises `InputError` where it cannot."""
    require_comparable(now, data, read_audit(path))
    _earlier_evasive(path)


def require_comparable(now: Attack, data: DataPart, earlier: Audit) -> AttackPart:
    """Give what an earlier audit's main attack reached.

    Raises `InputError` unless it was attacked as `now` says, on the same test images.
    """
    before = _evasion(earlier).main
    _require_same_images(data, earlier.data)
    if data.grey and earlier.data.grey is None:
        raise InputError(
            "the baseline was made by a version whose attacks changed grey images in colour; audit that release again"
        )
    if now != before.attack:
        changed = [name for name in type(now).model_fields if getattr(now, name) != getattr(before.attack, name)]
        raise InputError(
            f"the baseline was attacked with other settings ({', '.join(changed)}); "
            "attack as it was, or make a new baseline"
        )
    return before


def _require_same_images(now: DataPart, before: DataPart) -> None:
    if now.fingerprint == before.fingerprint and now.classes == before.classes:
        return
    if now.classes != before.classes:
        differs = "other classes"
    elif now.size != before.size:
        differs = f"a size of {size_text(before.size)} pixels instead of {size_text(now.size)}"
    else:
        differs = "other content"
    raise InputError(
        f"the baseline is of other test images: {before.images} of {before.name!r} then, {now.images} of {now.name!r} "
        f"now, with {differs}; compare with an audit of the same images, or audit that release again on these"
    )


def _evasion(audit: Examined) -> EvasionPart:
    if audit.evasion is None:
        raise InputError("the baseline examined no evasion; make a new one with the threat evasion")
    return audit.evasion


def _earlier_evasive(path: Path) -> dict[int, bool]:
    """Read which images evaded in the earlier audit; none where that cannot be told."""
    file = (path if is_folder(path) else path.parent) / SAMPLES
    if not is_file(file):
        return {}
    return _evasive(Document(file, "baseline's samples", "make a new baseline").content())


def _evasive(lines: str | bytes) -> dict[int, bool]:
    try:
        samples = [parse_json(line) for line in lines.splitlines()]
        return {int(sample["index"]): bool(sample["evasive"]) for sample in samples}
    except (ValueError, KeyError, TypeError, OverflowError):
        raise InputError(f"the {SAMPLES} of the baseline is damaged; make a new baseline") from None
