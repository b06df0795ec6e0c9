"""What the report of a comparison of hardened victims says besides its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgerift.harden import Hardening
from edgerift.measure import MeanInterval
from edgerift.report.shared._allowances import loss_words
from edgerift.report.shared._thief_words import thief_words
from edgerift.report.shared._words import as_json, figure, percent, size_words
from edgerift.report.study._about import About, Tile

FILE: Final = "harden.json"

#: What one comparison cannot show.
_ONE_SEED: Final = (
    "The intervals cover the sampling of images only. Each attacker trained one clone with one seed: a difference of a "
    "point or two is within seed-to-seed variation."
)


def about_hardening(hardening: Hardening) -> About:
    """Describe a comparison."""
    data = hardening.data
    return About(
        kind="hardening",
        page=f"hardening of {hardening.model} on {data.name}",
        title="Cost and benefit of hardening",
        subject=f"{hardening.model} for {hardening.target} on {hardening.runtime}, {data.test:,} test images of "
        f"{data.name}",
        edgerift=hardening.edgerift,
        file=FILE,
        lines=tuple(hardening.verdict.splitlines()),
        tiles=tuple(_tiles(hardening)),
        notes=tuple(_notes(hardening)),
        settings=(
            ("Images", f"{data.name} ({data.source}), {size_words(data.size)} pixels, seed {data.seed}"),
            ("Fingerprint of the images", data.fingerprint),
        ),
        documents={
            "Settings of the attacker": as_json(hardening.thief.model_dump(mode="json")),
            "Allowance": as_json(hardening.allowance.model_dump(mode="json")),
        },
    )


def _tiles(hardening: Hardening) -> Iterator[Tile]:
    plain = hardening.victim.get("qat")
    if plain is not None:
        soft, hard = plain.adversary_error.soft, plain.adversary_error.hard
        more = f"soft labels; hard labels {percent(hard.value)}"
        yield Tile("Undefended clone's error", percent(soft.value), more)
    alpha = hardening.alpha
    given = "as given" if alpha is not None else "allowed or given"
    chosen = "the largest allowed" if "divqat" in hardening.searches else given
    yield Tile("DivQAT's alpha", "none" if alpha is None else figure(alpha), chosen)
    yield Tile("Noise floor", _distance(hardening.noise.test), "l1 between two training seeds")
    yield Tile("Queries", f"{hardening.thief.spent:,}", "per clone")


def _notes(hardening: Hardening) -> Iterator[tuple[str, str]]:
    """Say how the results were measured; a search of which the verdict tells is not told twice."""
    for name, search in hardening.searches.items():
        if search.verdict not in hardening.verdict:
            title = hardening.victim[name].title if name in hardening.victim else name
            yield "Search", f"{title}: {search.verdict}."
    if hardening.diverged:
        lost = ", ".join(map(figure, hardening.diverged))
        yield "Diverged", f"Left out, as training with DivQAT's loss ended there without a model: alpha {lost}."
    if hardening.closed_form is not None:
        yield "Theory", _theory(hardening)
    noise, thief, allowed = hardening.noise, hardening.thief, hardening.allowance
    yield (
        "Noise floor",
        f"Two plain QAT models of different training seeds are l1 {_distance(noise.test)} apart on the test images and "
        f"{_distance(noise.queries)} on the queries.",
    )
    yield (
        "Attackers",
        f"Attacked by {thief_words(thief.attack)}, and by another on labels alone; each made {thief.spent:,} queries "
        f"from {thief.name}, of a budget of {thief.budget:,}.",
    )
    yield (
        "Allowance",
        f"Allowed on the {hardening.data.validation:,} validation images: l1 {figure(allowed.l1)} from the QAT build "
        f"and {loss_words(allowed)}.",
    )
    yield "Seeds", _ONE_SEED


def _theory(hardening: Hardening) -> str:
    """Compare the predicted alpha of DivQAT's jump with the measured one."""
    form = hardening.closed_form
    assert form is not None
    beyond, flip = (
        "none" if alpha is None else f"alpha {figure(alpha)}" for alpha in (form.first_beyond_noise, form.first_flip)
    )
    return (
        f"For an unconstrained output on an image of the median margin ({form.margin:.1f}, from "
        f"{form.low_margin:.1f} to {form.high_margin:.1f} for 80 % of the images), a poisoned optimum appears at alpha "
        f"{form.appears:.3f} and flips the label at {form.flips:.3f}. Of the alphas tried, the first whose distance "
        f"exceeds the noise floor: {beyond}; the first to cost more accuracy than allowed: {flip}."
    )


def _distance(mean: MeanInterval) -> str:
    return f"{mean.value:.3f}"
