"""The checks of the evaluation itself: what would make its rates wrong, looked for and reported either way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from edgerift.audit._document_evasion import FidelityPart
from edgerift.audit._document_pair import FlagPart
from edgerift.evade import (
    Attack,
    Dropped,
    Evasion,
    Pair,
    Selection,
    Steering,
    float_pair,
    is_evasive,
    random_search,
    search_selected,
)
from edgerift.images import ImageSet
from edgerift.measure import mcnemar

Level = Literal["ok", "note", "warning", "error"]

#: How many images the checks that search again take: enough to show a broken engine, few enough to cost little.
_FEW: Final = 64
_SMALL_AUDIT: Final = 100
#: An ensemble searches without gradients itself.
_CHANCES: Final = 20
_SIGNIFICANT: Final = 0.05


def check_all(
    pair: Pair,
    steering: Steering,
    test: ImageSet,
    clean: tuple[Tensor, Tensor],
    found: Mapping[str, Evasion],
    main: str,
    fidelity: Mapping[str, FidelityPart | None],
) -> tuple[FlagPart, ...]:
    """Run every check; `clean` are both models' logits of all test images, `found` the results by attack."""
    result = found[main]
    return (
        zero_gradients(result),
        *(twin_fidelity(which, part) for which, part in fidelity.items() if part is not None),
        black_box(pair, result),
        repeated(pair, result),
        replayed(result),
        identical_pair(pair, test, result),
        no_budget(pair, steering, test, clean, result.attack),
        better_baseline(found, main),
        more_steps(result),
        tied_scores(result),
        sample_size(result, len(test)),
    )


def zero_gradients(found: Evasion) -> FlagPart:
    """Look for gradients that are zero everywhere, which steer nothing."""
    calls = int(found.gradient_calls.sum())
    share = int(found.zero_gradients.sum()) / max(calls, 1)
    return FlagPart(
        name="zero-gradients",
        level=_level(share, note=0.0, warning=0.01, error=0.10),
        seen=f"{share:.2%} of {calls:,} gradients were zero everywhere",
        meaning="a zero gradient gives no direction: the rate is too low, however robust the build looks",
        action="use an objective on logits (pair-margin), which does not saturate as probabilities do",
    )


def twin_fidelity(which: str, part: FidelityPart) -> FlagPart:
    """Look for a twin that leaves its runtime."""
    return FlagPart(
        name=f"fidelity-{which}",
        level=_level(part.label_disagreement, note=0.0, warning=0.01, error=0.05),
        seen=f"twin and build give {part.label_disagreement:.2%} of {part.images:,} {which} images different labels; "
        f"{part.equal_logits:.2%} of the logits are equal, the largest difference is {part.max_lsb:g} LSB",
        meaning="gradients come from the twin; where it differs from the device, the gradients point the wrong way",
        action="check that the program, if there is one, is the build's own, and how the build takes its images",
    )


def black_box(pair: Pair, found: Evasion) -> FlagPart:
    """Compare with random images in the same boxes, as many a sample as the attack made gradient calls."""
    tries = max(1, found.attack.steps * found.attack.restarts) if found.attack.ensemble is None else _CHANCES
    by_chance = random_search(pair, found.clean, found.labels, found.attack, tries=tries)
    only_chance, only_attack = int((by_chance & ~found.evasive).sum()), int((found.evasive & ~by_chance).sum())
    beaten = only_chance > only_attack and mcnemar(only_chance, only_attack) < _SIGNIFICANT
    return FlagPart(
        name="black-box",
        level="error" if beaten else "ok",
        seen=f"{int(by_chance.sum())} of {len(found)} images evade at one of {tries} random places of their box, "
        f"{int(found.evasive.sum())} under the attack",
        meaning="an attack that sees the gradients must not lose to chance; one that does follows wrong gradients",
        action="raise the steps, try another objective, and check the fidelity above",
    )


def repeated(pair: Pair, found: Evasion) -> FlagPart:
    """Ask twice, in a batch and alone: an answer that changes proves nothing."""
    few = torch.cat([found.clean[:_FEW], found.images[:_FEW]])
    first = pair.build_scores(few)
    alone = torch.cat([pair.build_scores(image[None]) for image in few])
    changed = int(((first != pair.build_scores(few)) | (first != alone)).any(1).sum())
    return FlagPart(
        name="repeat",
        level="error" if changed else "ok",
        seen=f"the build changed its answer to {changed} of {len(few)} images when queried again, or one at a time",
        meaning="a verdict that depends on batch composition or timing cannot be replayed",
        action="make the runtime deterministic (one thread, no dynamic quantization), or judge by repeated answers",
    )


def replayed(found: Evasion) -> FlagPart:
    """Count findings that did not reproduce from their PNG file."""
    void = int(found.void.sum())
    return FlagPart(
        name="replay",
        level="warning" if void else "ok",
        seen=f"{void} of {void + int(found.evasive.sum())} findings did not reproduce from their PNG file",
        meaning="such a finding is void and not counted; many of them mean that the search saw other pixels or models",
        action="look at the fidelity and repeat checks; report this if both are clean",
    )


def identical_pair(pair: Pair, test: ImageSet, found: Evasion) -> FlagPart:
    """Attack the original against itself: nothing can evade."""
    same, steering = float_pair(pair.original, pair.original, pair.guard)
    rows = slice(0, _FEW)
    scores = found.clean_original[rows]
    chosen = Selection(found.index[rows], scores, scores, found.dropped)
    again = search_selected(same, test, chosen, found.attack.replace(own=None), steering=steering)
    count = int(again.evasive.sum())
    return FlagPart(
        name="identical-pair",
        level="error" if count else "ok",
        seen=f"{count} of {len(again)} images evaded a pair of the original and itself",
        meaning="two equal models cannot disagree; a finding there is a fault of the audit",
        action="do not trust this audit; report the fault with the original's file",
    )


def no_budget(pair: Pair, steering: Steering, test: ImageSet, clean: tuple[Tensor, Tensor], attack: Attack) -> FlagPart:
    """Attack with epsilon 0: what is found must be the images about which the two disagree anyway."""
    rows = torch.arange(min(len(test), 16 * _FEW))
    chosen = Selection(rows, clean[0][rows], clean[1][rows], Dropped())
    still = attack.replace(epsilon=0, steps=0, restarts=1, goal="wrong", start="clean", own=None, ensemble=None)
    again = search_selected(pair, test, chosen, still, steering=steering)
    labels = test.labels[rows]
    expected = is_evasive(clean[0][rows], clean[1][rows], labels, still, pair.guard)
    different = int((again.evasive != expected).sum())
    return FlagPart(
        name="epsilon-0",
        level="error" if different else "ok",
        seen=f"with epsilon 0 {int(again.evasive.sum())} of {len(rows)} images evade; "
        f"{int(expected.sum())} are clean disagreements, {different} differ",
        meaning="without any change the search must find the clean disagreements and nothing else",
        action="do not trust this audit; report the fault",
    )


def better_baseline(found: Mapping[str, Evasion], main: str) -> FlagPart:
    """Look for another attack of the same run that evades more."""
    better = []
    for name, other in found.items():
        only_other = int((other.evasive & ~found[main].evasive).sum())
        only_main = int((found[main].evasive & ~other.evasive).sum())
        if only_other > only_main and mcnemar(only_other, only_main) < _SIGNIFICANT:
            better.append(name)
    return FlagPart(
        name="stronger-attack",
        level="warning" if better else "ok",
        seen=f"stronger than {main} on the same images: {', '.join(better) or 'none'}",
        meaning="the gate judges by one attack; a stronger one means that its rate is too low",
        action=f"make {better[0]} the main attack with --attack {better[0]}" if better else "none",
    )


def more_steps(found: Evasion) -> FlagPart:
    """See whether the search was still finding when its budget ended."""
    counts = found.cumulative()
    late = counts[-1] - counts[int(0.8 * (len(counts) - 1))]
    share = late / len(found)
    seen = f"{late} of {len(found)} images were found in the last fifth of the gradient calls"
    if found.attack.own is not None:
        share, seen = 0.0, "how an attack of your own spends its budget is not known"
    return FlagPart(
        name="budget",
        level="note" if share > 0.02 else "ok",
        seen=seen,
        meaning="a curve that still rises says that an attacker with more steps gets more",
        action="raise --steps until the curve is flat",
    )


def tied_scores(found: Evasion) -> FlagPart:
    """Count the candidates that hold because the build's two best scores are equal, as those at the end of its grid."""
    best = found.last_build.topk(min(2, found.last_build.shape[1]), 1).values
    tied = int(((best[:, 0] == best[:, -1]) & ~found.evasive).sum())
    share = tied / len(found)
    return FlagPart(
        name="ties",
        level=_level(share, note=0.0, warning=0.05, error=1.0),
        seen=f"{tied} of {len(found)} images end, not evasive, where the build's two best scores are equal",
        meaning="scores clipped at the end of the output's grid have no gradient, and the lower class number wins",
        action="look at pgd on the same images, and calibrate the output's range on more images",
    )


def sample_size(found: Evasion, looked: int) -> FlagPart:
    """See whether the attacked images are few, or most of the `looked` at could not be attacked."""
    small = len(found) < _SMALL_AUDIT
    biased = found.dropped.total > looked / 2
    return FlagPart(
        name="sample",
        level="note" if small or biased else "ok",
        seen=f"{len(found)} images were attacked; {found.dropped.total} of {looked} could not be, "
        "for original or build get them wrong as they are",
        meaning="few images give wide intervals; many dropped ones say that the rest are the easy ones",
        action="attack more images" if small else "mind the bias towards easy images" if biased else "none",
    )


def _level(share: float, *, note: float, warning: float, error: float) -> Level:
    if share > error:
        return "error"
    if share > warning:
        return "warning"
    return "note" if share > note else "ok"
