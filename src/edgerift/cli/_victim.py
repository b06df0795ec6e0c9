"""Whom `extract` and `defend` look at: a build or an original, given or made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from edgerift import adapt, deploy, images, train, zoo
from edgerift.cli._build_options import BUILD_FILES, KernelsOption, runtime_of
from edgerift.cli._fields import Shown
from edgerift.cli._options import DataOptions
from edgerift.cli._pipeline import (
    OWN_RUNTIME,
    AdaptOptions,
    adapt_recipe,
    chosen_runtimes,
    find_source,
    in_order,
    network_name,
    shipped_build,
)
from edgerift.cli._specification import BUILD_INPUT, chosen_specification, require_build_understood
from edgerift.cli._train import OriginalOptions
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError, ModelError
from edgerift.settings import Settings, is_file, is_folder


class VictimOptions(Settings):
    """Whose answers are looked at."""

    victim: Annotated[str, Shown(metavar="build|original|URL")] = "build"
    """deployed build, float original, or endpoint"""
    original: Annotated[Path | None, Shown(metavar="FILE", default="train one")] = None
    """float model, or weights of --model"""
    adapted: Annotated[Path | None, Shown(default="quantize the original")] = None
    """program.safetensors, or a folder of `edgerift adapt` or `edgerift harden`, whose build becomes the victim"""
    build: Annotated[
        Path | None,
        Shown(
            metavar="FILE",
            default="compile one",
            text=f"deployed {BUILD_FILES} file",
            details="It needs no other model file",
        ),
    ] = None
    build_input: Annotated[str | None, BUILD_INPUT] = None
    """what the build takes and answers, where its file does not say"""
    runtime: Annotated[RuntimeName | None, Shown(advanced=True, default=OWN_RUNTIME)] = None
    """runtime of the build"""
    kernels: KernelsOption = None
    trust: Annotated[bool, Shown(advanced=True)] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""


class Found(NamedTuple):
    """A victim, the images that it is for, and its network and its runtime by name; "" where that cannot be told.

    `program` is that of a build that was given as a file beside it.
    """

    recipe: train.TrainRecipe | adapt.GivenOriginal | deploy.BuildRecipe | deploy.GivenBuild
    images: images.ImagesSettings
    network: str
    runtime: str
    program: deploy.GivenProgram | None = None


def find_victim(options: VictimOptions, data: DataOptions, training: OriginalOptions, adapting: AdaptOptions) -> Found:
    """Turn the options into a victim; raises :class:`~edgerift.errors.InputError` for those that contradict."""
    described = data.images(training.seed)
    if options.victim not in ("build", "original"):
        if is_endpoint(options.victim):
            raise InputError("--victim is an endpoint, which only `edgerift extract` with --attack knockoff takes")
        raise InputError(f"--victim is '{options.victim}'; it must be build, original or http://HOST:PORT")
    if options.victim == "original":
        return _original(options, training, described)
    runtime = runtime_of(options.runtime, options.kernels, options.build)
    named: tuple[str, ...] = (runtime,) if runtime else ()
    if options.adapted is not None:
        return _shipped(options, options.adapted, described)
    if options.build is not None:
        told = chosen_specification(options.build_input, options.build)
        given = deploy.given_build(options.build, runtime, trust=options.trust, specification=told)
        build = deploy.open_build(options.build, given.runtime, trust=options.trust, specification=told)
        require_build_understood(build, described)
        return Found(given, described, "", given.runtime)
    program = adapt_recipe(described, training, adapting, options.original, options.trust)
    (chosen,) = chosen_runtimes(adapting.target, named)
    building = deploy.BuildRecipe.model_validate({"program": program, "runtime": chosen})
    return Found(building, program.images, network_name(program.original), chosen)


def is_endpoint(victim: str) -> bool:
    """Tell whether a victim is named by an address."""
    return victim.startswith(("http://", "https://"))


def _original(options: VictimOptions, training: OriginalOptions, described: images.ImagesSettings) -> Found:
    if options.build is not None:
        raise InputError("--build names a build and --victim original the original; leave one of them out")
    path = options.original
    if path is None and options.adapted is not None:
        path = _beside(options.adapted)
    source = find_source(described, training, path, options.trust, None)
    return Found(source.original, source.images, network_name(source.original), "float")


def _shipped(options: VictimOptions, adapted: Path, described: images.ImagesSettings) -> Found:
    program = deploy.given_program(adapted / "program.safetensors" if is_folder(adapted) else adapted)
    described = _fitting(deploy.Program.load(program.path), described)
    runtime = runtime_of(options.runtime, options.kernels, options.build)
    building = shipped_build(adapted, program, options.build, runtime, trust=options.trust)
    path = options.original or _beside(adapted)
    network = ""
    if is_file(path) or options.original is not None:
        network = network_name(adapt.given_original(path, trust=options.trust))
    return Found(building, described, network, building.runtime, program)


def _beside(adapted: Path) -> Path:
    return (adapted if is_folder(adapted) else adapted.parent) / "original.safetensors"


def _fitting(program: deploy.Program, described: images.ImagesSettings) -> images.ImagesSettings:
    described = in_order(program.provenance.classes, described)
    train = images.open_splits(described).train
    if program.classes != len(train.classes):
        raise ModelError(
            f"the program has {program.classes} classes, the data has {len(train.classes)}; "
            "pass the --data it was made for"
        )
    zoo.check_classes(program.provenance.classes, train.classes, train.name)
    taken, given = program.shape, train.shape
    if taken.size != given.size:
        raise ModelError(
            f"the program was made for images of {images.size_text(taken.size)} pixels, the images are resized to "
            f"{images.size_text(given.size)}; pass --size {images.size_text(taken.size)}"
        )
    if given.channels > taken.channels:
        raise ModelError(
            f"the program takes greyscale images, and those of {train.name} are in colour; convert them to greyscale "
            "files, as its pipeline does"
        )
    return described
