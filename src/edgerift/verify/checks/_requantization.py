"""Whether quantizing the original again, by the recipe, gives the same program bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

from edgerift.adapt import AdaptRecipe, ptq, run_qat
from edgerift.deploy import Program, stored_layers
from edgerift.images import open_splits
from edgerift.verify._compiled import compiled
from edgerift.verify._differences import Difference, first_places, layer_differences, program_differences, words
from edgerift.verify._document import CheckPart, Verdict
from edgerift.verify._evidence import CHECKS, BuildFile, Check, Evidence

_NAME = "requantization"


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    recipe = evidence.recipe
    if recipe is None:
        return
    made = _made(evidence, recipe)
    if evidence.program is not None:
        yield _result(recipe, program_differences(evidence.program, made))
        return
    for build in evidence.builds:
        yield _of_file(build, recipe, made)


def _made(evidence: Evidence, recipe: AdaptRecipe) -> Program:
    """Quantize again; nothing of an earlier run is taken from a store."""
    splits = open_splits(recipe.images)
    if recipe.method == "ptq":
        settings = recipe.settings.calibration
        return ptq(evidence.original, splits.train, target=recipe.target, settings=settings, progress=evidence.progress)
    return run_qat(
        evidence.original,
        splits.train,
        splits.validation,
        target=recipe.target,
        settings=recipe.settings,
        progress=evidence.progress,
    )[0]


def _of_file(build: BuildFile, recipe: AdaptRecipe, made: Program) -> CheckPart:
    """Compare a file with what its runtime's compiler makes of the new program."""
    again = compiled(made, build.runtime, build.content)
    if again.equal:
        return _result(recipe, [])
    if again.layers is None:
        text = "the file is not the one that the recipe makes here; its weights cannot be read back"
        return CheckPart(name=_NAME, verdict="unknown", text=text)
    differences = layer_differences(stored_layers(build.path, build.runtime), again.layers)
    if not differences:
        text = "all layers are those that the recipe makes; other parts of the file differ from what is compiled here"
        return CheckPart(name=_NAME, verdict="unknown", text=text)
    return _result(recipe, differences)


def _result(recipe: AdaptRecipe, differences: list[Difference]) -> CheckPart:
    if not differences:
        text = f"quantized again by {recipe.method}: codes, scales and graph are equal bit for bit"
        return CheckPart(name=_NAME, verdict="conforms", text=text, figures={"differences": 0.0})
    # A training repeats itself bit for bit on one kind of machine only.
    verdict: Verdict = "deviates" if recipe.method == "ptq" else "unknown"
    text = f"quantized again by {recipe.method}: {words(differences)} differ"
    if verdict == "unknown":
        text += "; a training on another machine may end in other bits"
    return CheckPart(
        name=_NAME,
        verdict=verdict,
        text=text,
        figures={"differences": float(sum(one.numbers for one in differences))},
        places=first_places(differences),
    )


CHECKS.register(_NAME, Check(_run, decides=True, needs="a recipe"), rank=5)
