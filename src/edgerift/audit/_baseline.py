"""An earlier audit as the bar: has the gap grown by more than chance?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from edgerift.audit._document import Audit, GatePart
from edgerift.audit._evidence import SAMPLES
from edgerift.errors import InputError, RecipeError
from edgerift.evade import Attack
from edgerift.measure import fisher, mcnemar, rate_of

#: Worse by chance with at most this probability.
_SIGNIFICANT: Final = 0.05

#: Images are compared one by one where at least this share of the smaller audit's are in both.
_SHARED: Final = 0.5


def read_audit(path: Path) -> Audit:
    """Read an `audit.json`, or the one in a folder; raises `InputError` for anything else."""
    file = path / "audit.json" if path.is_dir() else path
    try:
        return Audit.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {file} ({error.strerror}); `edgerift audit --out DIR` writes it") from None
    except RecipeError as error:
        raise InputError(f"{file} is no audit of this version: {error}") from None


def judge_baseline(audit: Audit, samples: str, path: Path) -> GatePart:
    """Tell whether significantly more images evade than in an earlier audit; `samples` are this audit's lines.

    Where both audits drew from the same test images, the earlier folder has its samples and most images were attacked
    in both, those that only one of them found are compared by McNemar's test; otherwise the two rates by Fisher's exact
    test. Both are two-sided, and only a rise fails. Raises `InputError` for a baseline that cannot be read or was
    attacked otherwise.
    """
    earlier = read_audit(path)
    require_comparable(audit.attacks[audit.main_attack].attack, earlier)
    now, before = audit.attacks[audit.main_attack], earlier.attacks[earlier.main_attack]
    present, past = _evasive(samples), _earlier_evasive(audit, earlier, path)
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
    )


def require_comparable(now: Attack, earlier: Audit) -> None:
    """Make sure that an earlier audit's main attack was this one; raises `InputError`."""
    before = earlier.attacks[earlier.main_attack].attack
    if now != before:
        changed = [name for name in type(now).model_fields if getattr(now, name) != getattr(before, name)]
        raise InputError(
            f"the baseline was attacked with other settings ({', '.join(changed)}); "
            "attack as it was, or make a new baseline"
        )


def _earlier_evasive(audit: Audit, earlier: Audit, path: Path) -> dict[int, bool]:
    """Read which images of the same test set evaded in the earlier audit; none where that cannot be told."""
    file = (path if path.is_dir() else path.parent) / SAMPLES
    if audit.data.fingerprint != earlier.data.fingerprint or not file.is_file():
        return {}
    return _evasive(file.read_bytes())


def _evasive(lines: str | bytes) -> dict[int, bool]:
    try:
        samples = [json.loads(line) for line in lines.splitlines()]
        return {int(sample["index"]): bool(sample["evasive"]) for sample in samples}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"the {SAMPLES} beside the baseline is damaged; make a new baseline") from None
