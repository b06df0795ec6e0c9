"""Whether a build is what it claims to be: all checks on one build, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from torch import nn

from edgerift import zoo
from edgerift.adapt import COMPRESSIONS, AdaptRecipe, folded_layers, weights_digest
from edgerift.deploy import Program, find_runtime, stored_layers, suffixes
from edgerift.errors import BuildError, InputError
from edgerift.evade import Pair
from edgerift.images import ImageSet, ImageShape
from edgerift.settings import is_file, no_file
from edgerift.steps import Progress, silent
from edgerift.verify._claims import claimed_quantizer, claimed_training, program_digest, stated_fingerprint
from edgerift.verify._document import CheckPart, Verdict, Verification
from edgerift.verify._evidence import CHECKS, BuildFile, Evidence
from edgerift.verify._matching import Matching, match
from edgerift.verify._quantizers import QUANTIZERS
from edgerift.verify._statement import Statement
from edgerift.verify._triggers import TriggerSettings


def verify(
    original: nn.Module,
    build: Path | str | Sequence[Path] = (),
    *,
    runtime: str | None = None,
    program: Program | None = None,
    recipe: AdaptRecipe | None = None,
    quantizer: str | None = None,
    original_file: Path | None = None,
    card: Path | None = None,
    statement: Statement | None = None,
    images: ImageSet | None = None,
    triggers: TriggerSettings | None = None,
    checks: Sequence[str] = (),
    pair: Pair | None = None,
    progress: Progress = silent,
) -> Verification:
    """Check that a build is an honest quantization of its original.

    `build` is the file that ships, of any tool; without it a `program` is verified, and with both, or several builds,
    also that they were compiled from it. A `recipe` is carried out again and compared bit for bit. `quantizer` names
    the tool that is said to have made the build, a name in :data:`QUANTIZERS`; by default what the recipe, the program
    or the file says. `original_file` and `card` are files whose digests are compared, and `statement` what the maker
    stated, see :func:`read_statement`. With `images`, not those of the training, the labels of original and build are
    compared by class, and with `triggers` one is searched for. `checks` limits the checks to those named, in
    :data:`CHECKS`. `pair` is that of original and build, if it is open already.

    Raises :class:`~edgerift.errors.InputError` without a build and a program, for a build that was pruned or distilled
    first, for several builds without one, and for a file whose weights cannot be read back where there is no program;
    :class:`~edgerift.errors.RecipeError` for an unknown name; :class:`~edgerift.errors.BuildError` for a file that is
    missing; and :class:`~edgerift.errors.ModelError` for one that is damaged, or an original that cannot be exported.
    """
    _require_plain(program, recipe)
    builds = _builds(build, runtime, card)
    evidence = Evidence(
        original=original,
        matching=_matched(original, builds, program, recipe),
        quantizer=_quantizer(quantizer, program, recipe, builds),
        builds=builds,
        program=program,
        recipe=recipe,
        original_file=original_file,
        training=claimed_training(program),
        images=images,
        triggers=triggers,
        given=pair,
        statement=statement,
        progress=progress,
    )
    return _verification(evidence, tuple(_parts(evidence, checks)))


def _builds(build: Path | str | Sequence[Path], runtime: str | None, card: Path | None) -> tuple[BuildFile, ...]:
    given = [Path(build)] if isinstance(build, Path | str) else list(build)
    return tuple(_build(path, runtime, card) for path in given)


def _quantizer(
    named: str | None, program: Program | None, recipe: AdaptRecipe | None, builds: Sequence[BuildFile]
) -> str:
    """The quantizer that was named, else the one that the files claim."""
    claimed = named or claimed_quantizer(program, recipe, builds[0].path if builds else None)
    if claimed:
        QUANTIZERS[claimed]
    return claimed


def _require_plain(program: Program | None, recipe: AdaptRecipe | None) -> None:
    """Refuse a build that was pruned or distilled first: its weights are not a quantization of the original's."""
    named = set() if program is None else set(program.provenance.settings) & set(COMPRESSIONS.names())
    if named or (recipe is not None and recipe.compression is not None):
        raise InputError(
            "the build was pruned or distilled before its quantization, so its codes are not those of the original; "
            "only a quantization of the original itself can be verified"
        )


def _verification(evidence: Evidence, parts: tuple[CheckPart, ...]) -> Verification:
    return Verification(
        edgerift=version("edgerift"),
        verdict=_verdict(parts),
        original=weights_digest(evidence.original),
        program=None if evidence.program is None else program_digest(evidence.program),
        builds=tuple(one.part() for one in evidence.builds),
        quantizer=evidence.quantizer,
        layers=len(evidence.matching.layers),
        weights=evidence.matching.weights,
        checks=parts,
    )


def _parts(evidence: Evidence, chosen: Sequence[str]) -> Iterator[CheckPart]:
    for name in chosen:
        CHECKS[name]
    for name, check in CHECKS.items():
        if chosen and name not in chosen:
            continue
        evidence.progress("verify", 0, 1, name)
        yield from check.run(evidence)


def _verdict(parts: tuple[CheckPart, ...]) -> Verdict:
    """One deviation is enough; without any, a check that decides has to conform, and none may be open.

    What is equal bit for bit after another quantization needs no other check, apart from those of the files.
    """
    verdicts = {part.verdict for part in parts}
    if "deviates" in verdicts:
        return "deviates"
    again = [part for part in parts if part.name == "requantization"]
    if again and all(part.verdict == "conforms" for part in again):
        files = [part.verdict for part in parts if part.name in ("compilation", "provenance")]
        return "unknown" if "unknown" in files else "conforms"
    decided = any(CHECKS[part.name].decides and part.verdict == "conforms" for part in parts)
    return "conforms" if decided and "unknown" not in verdicts else "unknown"


def _matched(
    original: nn.Module, builds: Sequence[BuildFile], program: Program | None, recipe: AdaptRecipe | None
) -> Matching:
    if program is not None:
        return match(stored_layers(program), folded_layers(original, program.shape, program.target))
    if len(builds) != 1:
        given = f"{len(builds)} builds without the program that they were compiled from" if builds else "nothing"
        raise InputError(f"{given} to verify: give a build, a program, or both")
    target = "mobile" if recipe is None else recipe.target
    return match(stored_layers(builds[0].path, builds[0].runtime), folded_layers(original, _shape(original), target))


def _shape(original: nn.Module) -> ImageShape:
    if isinstance(original, zoo.Classifier):
        return original.architecture.shape
    raise InputError("an original that is no edgerift.zoo.Classifier does not say the shape of its images; wrap it")


def _build(path: Path, runtime: str | None, card: Path | None) -> BuildFile:
    if not is_file(path):
        raise BuildError(no_file("build", path, "`edgerift adapt --runtime NAME --out DIR` writes one"))
    by_suffix = {suffix: name for name, suffix in suffixes().items()}
    name = runtime or by_suffix.get(path.suffix)
    if name is None:
        raise BuildError(f"cannot determine the runtime of {path.name}; known suffixes: {', '.join(sorted(by_suffix))}")
    find_runtime(name)
    return BuildFile(path, name, {} if card is None else stated_fingerprint(card, name))
