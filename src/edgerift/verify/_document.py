"""The result of a verification: what each check found, and whether the build is what it claims to be."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from edgerift.settings import Settings

Verdict: TypeAlias = Literal["conforms", "deviates", "unknown"]
"""Whether a build is as it should be; `unknown` where a check cannot tell."""


class Place(Settings):
    """One stored number that is not what it should be: its layer, its index there, and both values."""

    layer: str
    index: tuple[int, ...]
    found: float
    expected: float


class LayerPart(Settings):
    """What a check measured of one layer of the build; `original` is the layer of the original that it was made of."""

    layer: str
    original: str
    weights: int
    figures: dict[str, float]


class CheckPart(Settings):
    """What one check found.

    `figures` are over all layers, `layers` those of each one. `places` are the first numbers that deviate. `named` are
    the honest methods that would explain a deviation. `file` is the build that a check of one looked at, "" for the
    others.
    """

    name: str
    file: str = ""
    verdict: Verdict
    text: str
    figures: dict[str, float] = Field(default_factory=dict)
    layers: tuple[LayerPart, ...] = ()
    places: tuple[Place, ...] = ()
    named: tuple[str, ...] = ()


class BuildPart(Settings):
    """A build that was verified: its file, its runtime, and the digest of its bytes."""

    file: str
    runtime: str
    sha256: str


class Verification(Settings):
    """Whether a build conforms to its original, by each check.

    `deviates` where one check does; `conforms` where the checks that decide it do and none deviates; otherwise
    `unknown`. `quantizer` is the one whose rules were applied, "" where it is not known. `original` is the digest of
    the original's weights, `program` that of the program's, None where none was given.
    """

    type: Literal["verification"] = "verification"
    version: Literal[1] = 1
    edgerift: str
    verdict: Verdict
    original: str
    program: str | None
    builds: tuple[BuildPart, ...]
    quantizer: str
    layers: int
    weights: int
    checks: tuple[CheckPart, ...]

    def check(self, name: str) -> CheckPart | None:
        """Find a check by name; None for one that was not made."""
        return next((check for check in self.checks if check.name == name), None)
