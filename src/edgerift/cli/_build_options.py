"""What the options of the verbs that judge a build say of its file, and the set of kernels that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias, get_args

from edgerift import deploy
from edgerift.cli._fields import Shown
from edgerift.deploy import RUNTIMES, KernelsName, suffixes
from edgerift.errors import unknown_name

_FAMILIES: Final = ", ".join(dict.fromkeys(entry.files_of for entry in RUNTIMES.parts() if entry.files_of))

*_FIRST, _LAST = suffixes().values()
#: The suffixes of builds, in words.
BUILD_FILES: Final = f"{', '.join(_FIRST)} or {_LAST}"

#: The names of the runtimes, in words.
RUNTIME_NAMES: Final = ", ".join(RUNTIMES.names())

KernelsOption: TypeAlias = Annotated[
    KernelsName | None,
    Shown(
        group="model",
        advanced=True,
        default="default",
        text=f"set of kernels that runs the build, where its runtime has several ({_FAMILIES})",
    ),
]
"""A field `kernels`, whose value :func:`runtime_of` understands."""


SeveralKernels: TypeAlias = Annotated[
    tuple[str, ...],
    Shown(
        group="model",
        advanced=True,
        metavar="NAME,...",
        default="default",
        text=f"sets of kernels that run the build, where its runtime has several ({_FAMILIES}); the first is audited, "
        "the others are compared with it",
    ),
]
"""A field `kernels` of names, which :func:`kernels_named` checks."""


def kernels_named(given: tuple[str, ...]) -> tuple[str, ...]:
    """Take the names of sets of kernels apart, with commas between them; raises `ValueError` for one that is unknown.

    >>> kernels_named(("default,builtin",))
    ('default', 'builtin')
    """
    named = tuple(name.strip() for part in given for name in part.split(","))
    known = get_args(KernelsName)
    for name in named:
        if name not in known:
            raise ValueError(unknown_name("set of kernels", name, known))
    return tuple(dict.fromkeys(named))


def runtime_of(runtime: str | None, kernels: str | None, build: Path | None) -> str | None:
    """Name the runtime that was asked for: by its own name, and by a set of kernels of it or of a build's file.

    Raises :class:`~edgerift.errors.RecipeError` for kernels that the runtime does not have.
    """
    if kernels is None:
        return runtime
    by_suffix = {suffix: name for name, suffix in suffixes().items()}
    family = runtime or by_suffix.get("" if build is None else build.suffix) or _FAMILIES.split(", ")[0]
    return deploy.with_kernels(family, kernels)
