"""The comparison as a step that the store keeps."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, NonNegativeFloat

from edgerift.adapt import Allowance, Divqat, GivenOriginal, QatSettings, Search, open_original
from edgerift.defend import SweepPoint, sweep
from edgerift.deploy import RuntimeName, Target
from edgerift.extract import ExtractRecipe, Knockoff, QuerySettings, Theft
from edgerift.harden._answers import validation_answers
from edgerift.harden._document import AlphaPoint, Hardening, StudentPoint, ThiefPart, TimesPart, VariantPart
from edgerift.harden._measures import Bench, noise_part, victim_part
from edgerift.harden._paper import paper_row
from edgerift.harden._variant import DEFAULT_VARIANTS, PAPER_ANSWERS, VARIANTS, DefenceFields, VariantName
from edgerift.harden._variants import MadeVariant, VariantMaker
from edgerift.harden._verdict import closed_form, overall_verdict
from edgerift.images import ImagesSettings, open_splits
from edgerift.measure import posterior_kl, posterior_l1
from edgerift.settings import Count, is_empty
from edgerift.steps import Progress, Recipe, read_document, silent, write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

HARDENING: Final = "hardening.json"
LABELS: Final[tuple[Literal["soft", "hard"], ...]] = ("soft", "hard")

#: The victims that each of the students attacks.
_STUDENTS_STEAL: Final = ("qat", "divqat")


class HardenRecipe(Recipe):
    """Compare victims of one original, each attacked with soft and with hard labels: `hardening.json`.

    `rows` names them; `qat` is always among them, as the baseline. By default DivQAT's alpha is searched for within the
    `allowance`; `alpha` fixes it. `alphas` are values for which DivQAT is trained and attacked as well, with soft and
    with hard labels, for the curves of the paper's figures 4 to 6 (one whose training diverges is named and left out),
    and `students` are networks that attack the variants `qat` and `divqat` as well, for its figure 3, and DivQAT at
    each of the `alphas`. `answers` gives output defences by
    name other fields than their own, such as a `gamma`. Every training, search and attack
    is a step of its own in the store, so a run that was killed resumes in the middle of one.
    """

    type: Literal["harden"] = "harden"
    version: Literal[7] = 7
    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    images: ImagesSettings
    target: Target = "mobile"
    runtime: RuntimeName = "executorch"
    settings: QatSettings = Field(default_factory=QatSettings)
    allowance: Allowance = Allowance()
    alpha: NonNegativeFloat | None = None
    rows: tuple[VariantName, ...] = DEFAULT_VARIANTS
    alphas: tuple[NonNegativeFloat, ...] = ()
    answers: tuple[tuple[str, DefenceFields], ...] = Field(default=(), exclude_if=is_empty)
    students: tuple[str, ...] = ()
    queries: QuerySettings
    budget: Count = 50_000
    attack: Knockoff = Knockoff()

    @property
    def victims(self) -> VariantMaker:
        """What the variants share."""
        return VariantMaker(
            original=self.original,
            images=self.images,
            target=self.target,
            runtime=self.runtime,
            settings=self.settings,
            allowance=self.allowance,
            alpha=self.alpha,
            answers=self.answers,
        )

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the builds, the searches and the attacks on each variant whose searches are finished."""
        victims = self.victims
        found: list[Recipe] = [self.original, victims.adapted("qat"), victims.adapted("qat", 1)]
        for name in self.compared:
            choosing = victims.choosing(name)
            found += (victims.victim(name), *choosing)
            if all(store.has(step) for step in choosing):
                found += self._thefts_of(victims.made(name, store, silent))
        for alpha in self.alphas:
            attempt = victims.attempted(alpha)
            found.append(attempt)
            if store.has(attempt) and not attempt.diverged(store, silent):
                found += self._alpha_steps(self.alpha_variant(alpha))
        return tuple(found)

    def _alpha_steps(self, variant: MadeVariant) -> list[Recipe]:
        others = (self.stealing(variant, labels, student) for student, labels in self.others)
        return [variant.victim, self.stealing(variant, "soft"), *others]

    def _thefts_of(self, variant: MadeVariant) -> list[Recipe]:
        students = (None, *(self.students if variant.name in _STUDENTS_STEAL else ()))
        return [self.stealing(variant, labels, student) for student in students for labels in LABELS]

    @property
    def others(self) -> tuple[tuple[str, Literal["soft", "hard"]], ...]:
        """The attackers on DivQAT at one alpha, besides the attack's own student with soft labels."""
        own = self.attack.student
        return ((own, "hard"), *((student, "soft") for student in dict.fromkeys(self.students) if student != own))

    @property
    def compared(self) -> tuple[VariantName, ...]:
        """The variants, baseline included, in table order."""
        return tuple(name for name in VARIANTS.names() if name == "qat" or name in self.rows)

    def alpha_variant(self, alpha: float) -> MadeVariant:
        """Describe DivQAT at one alpha."""
        build = self.victims.build(self.victims.hardened(Divqat(alpha=alpha)))
        return MadeVariant(name="divqat", title=f"DivQAT, alpha {alpha:g}", victim=build, strength=alpha)

    def stealing(
        self, variant: MadeVariant, labels: Literal["soft", "hard"], student: str | None = None
    ) -> ExtractRecipe:
        """Describe the attack on a variant, by the attack's own student or by another.

        With hard labels, a defence that keeps every label is invisible, so the attack equals the undefended one.
        """
        seen = () if labels == "hard" and variant.keeps_labels else variant.defences
        attack = self.attack.replace(labels=labels)
        return ExtractRecipe(
            victim=variant.victim,
            defences=seen,
            images=self.images,
            queries=self.queries,
            budget=self.budget,
            attack=attack if student is None else attack.replace(student=student),
        )

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Run the missing trainings, searches and attacks, compare, and write the result into `folder`."""
        hardening = _compared(self, store, progress)
        write_whole(folder / HARDENING, hardening.model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> Hardening:
        """Read the comparison; run it if it is missing."""
        return read_document(Hardening, store.get(self, progress) / HARDENING)


def _compared(recipe: HardenRecipe, store: Store, progress: Progress) -> Hardening:
    victims = recipe.victims
    plain = victims.build(victims.adapted("qat"))
    bench = Bench(recipe.images, recipe.queries, plain, recipe.original, store, progress)
    parts, spent = _variants(recipe, bench, store, progress)
    searches = _searches(recipe, store, progress)
    divqat = searches.get("divqat")
    alphas = {alpha: victims.attempted(alpha).diverged(store, progress) for alpha in sorted(set(recipe.alphas))}
    return Hardening(
        edgerift=version("edgerift"),
        model=open_original(recipe.original, store, progress).architecture.name,
        target=recipe.target,
        runtime=recipe.runtime,
        data=bench.data,
        thief=ThiefPart(
            attack=recipe.attack, queries=recipe.queries, name=bench.queries.name, budget=recipe.budget, spent=spent
        ),
        allowance=recipe.allowance,
        noise=noise_part(victims, bench),
        alpha=recipe.alpha if divqat is None else divqat.chosen,
        searches=searches,
        closed_form=None
        if divqat is None
        else closed_form(bench.original_validation, bench.splits.validation.labels, divqat),
        victim=parts,
        students=_student_points(recipe, store, progress),
        alphas=tuple(
            _alpha_point(recipe, alpha, bench, store, progress) for alpha, diverged in alphas.items() if not diverged
        ),
        diverged=tuple(alpha for alpha, diverged in alphas.items() if diverged),
        sweeps=_sweeps(recipe, store, progress),
        verdict=overall_verdict(parts, divqat),
        times=_times(recipe, bench, store, progress),
    )


def _variants(
    recipe: HardenRecipe, bench: Bench, store: Store, progress: Progress
) -> tuple[dict[str, VariantPart], int]:
    """Make, attack and measure every variant; also return the number of queries that the last attack spent."""
    parts: dict[str, VariantPart] = {}
    spent = 0
    for name in sorted(recipe.compared, key=lambda name: name != "qat"):
        variant = recipe.victims.made(name, store, progress)
        thefts = _thefts(recipe, variant, store, progress)
        printed = paper_row(recipe.images.source, name, recipe.target)
        parts[name] = victim_part(variant, bench, thefts, parts.get("qat"), printed)
        spent = thefts["soft"].spent
    return {name: parts[name] for name in VARIANTS.names() if name in parts}, spent


def _times(recipe: HardenRecipe, bench: Bench, store: Store, progress: Progress) -> dict[str, TimesPart]:
    """Time every build."""
    rows = (recipe.victims.made(name, store, progress) for name in recipe.compared)
    timed = {variant.name: bench.times(variant) for variant in rows}
    return {name: times for name, times in timed.items() if times is not None}


def _thefts(
    recipe: HardenRecipe, variant: MadeVariant, store: Store, progress: Progress
) -> dict[Literal["soft", "hard"], Theft]:
    return {name: recipe.stealing(variant, name).theft(store, progress) for name in LABELS}


def _student_points(recipe: HardenRecipe, store: Store, progress: Progress) -> tuple[StudentPoint, ...]:
    points = []
    for name in recipe.compared:
        if name not in _STUDENTS_STEAL or not recipe.students:
            continue
        variant = recipe.victims.made(name, store, progress)
        for student in recipe.students:
            for labels in LABELS:
                points.append(_student_point(recipe, variant, student, labels, store, progress))
    return tuple(points)


def _student_point(
    recipe: HardenRecipe,
    variant: MadeVariant,
    student: str,
    labels: Literal["soft", "hard"],
    store: Store,
    progress: Progress,
) -> StudentPoint:
    theft = recipe.stealing(variant, labels, student).theft(store, progress)
    return StudentPoint(
        victim=variant.name,
        student=student,
        labels=labels,
        adversary_error=theft.adversary_error,
        disagreement=theft.disagreement,
    )


def _searches(recipe: HardenRecipe, store: Store, progress: Progress) -> dict[str, Search]:
    found = {name: recipe.victims.tuned(name) for name in recipe.rows}
    return {name: search.search(store, progress) for name, search in found.items() if search is not None}


def _sweeps(recipe: HardenRecipe, store: Store, progress: Progress) -> dict[str, tuple[SweepPoint, ...]]:
    victims = recipe.victims
    answers = validation_answers(victims.build(victims.adapted("qat")), recipe.images, store, progress)
    labels = open_splits(recipe.images).validation.labels
    return {name: sweep(name, answers, labels) for name in PAPER_ANSWERS}


def _alpha_point(recipe: HardenRecipe, alpha: float, bench: Bench, store: Store, progress: Progress) -> AlphaPoint:
    variant = recipe.alpha_variant(alpha)
    theft = recipe.stealing(variant, "soft").theft(store, progress)
    test, _ = bench.answers(variant.victim)
    return AlphaPoint(
        alpha=alpha,
        l1=posterior_l1(test, bench.reference[0]).value,
        divergence=posterior_kl(test, bench.original_test).value,
        defender_error=theft.defender_error,
        adversary_error=theft.adversary_error,
        disagreement=theft.disagreement,
        thefts=tuple(
            _student_point(recipe, variant, student, labels, store, progress) for student, labels in recipe.others
        ),
    )
