"""The threat of tampering: whether the build is an honest quantization of its original."""

from __future__ import annotations

from pydantic import Field

from edgerift.adapt import AdaptRecipe
from edgerift.audit._opened import Opened
from edgerift.settings import Settings, is_none
from edgerift.verify import TriggerSettings, Verification, verify


class TamperingSettings(Settings):
    """How a build is verified: see :func:`edgerift.verify.verify`.

    `recipe` is that of the quantization, where it is known and can be carried out again; `quantizer` the tool that is
    said to have made the build, None for what the files say. Without `triggers` none is searched for.
    """

    recipe: AdaptRecipe | None = Field(default=None, exclude_if=is_none)
    quantizer: str | None = Field(default=None, exclude_if=is_none)
    triggers: TriggerSettings | None = TriggerSettings()


def tampering_part(settings: TamperingSettings, opened: Opened) -> Verification:
    """Verify the build of a pair, on the test images too."""
    build = opened.pair.build
    return verify(
        opened.pair.original,
        build.path,
        runtime=build.runtime,
        program=opened.program,
        recipe=settings.recipe,
        quantizer=settings.quantizer,
        images=opened.test,
        triggers=settings.triggers,
        pair=opened.pair,
        progress=opened.progress,
    )
