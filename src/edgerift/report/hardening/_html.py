"""A comparison of hardened victims as one self-contained HTML file, with a light and a dark theme."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgerift.facts import single
from edgerift.harden import Hardening
from edgerift.report.figures._alpha_words import alpha_words
from edgerift.report.figures._tradeoff import tradeoff_words
from edgerift.report.hardening._alt import reliability_words, sweep_words
from edgerift.report.hardening._charts import ALPHA, RELIABILITY, SWEEP, TRADEOFF, has_alphas
from edgerift.report.hardening._words import (
    ONE_SEED,
    allowance_words,
    closed_form_words,
    has_paper,
    heading,
    mean_ends,
    noise_words,
    search_words,
    stealing_words,
    strength_words,
    victim_title,
)
from edgerift.report.shared._page import asset, environment, policy
from edgerift.report.shared._plots import looks
from edgerift.report.shared._words import figure, paper_note

#: In dots; a picture of fewer columns than fit is narrower.
_SMALL_WIDTH = 1300


@dataclass(frozen=True)
class Picture:
    """A picture to embed: `data` is the PNG file in base64, empty when it is missing; `words` say what it shows."""

    name: str
    title: str
    caption: str
    words: str
    data: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether the picture has fewer panels than fill a page's width."""
        return 0 < self.width < _SMALL_WIDTH


def hardening_html(hardening: Hardening, folder: Path) -> str:
    """Render a comparison as a self-contained HTML page.

    The pictures that :func:`hardening_charts` drew into `folder` are embedded; one that is missing is reported in its
    place.
    """
    colours = (look.colour for look in looks(tuple(hardening.victim)).values())
    swatches = "".join(f".v{number} {{ color: {colour}; }}\n" for number, colour in enumerate(colours))
    style, script = asset("report.css") + asset("hardening.css") + swatches, asset("report.js")
    made = environment()
    made.filters |= {"mean_ends": mean_ends, "figure": figure, "strengths": strength_words}
    values: dict[str, Any] = {
        "hardening": hardening,
        "heading": heading(hardening),
        "verdict": [_emphasised(line) for line in hardening.verdict.splitlines()],
        "searches": [line for line in (*search_words(hardening), closed_form_words(hardening)) if line],
        "titles": {name: victim_title(hardening, name) for name in hardening.searches},
        "paper": has_paper(hardening),
        "paper_note": paper_note(hardening.target),
        "pictures": _pictures(hardening, Path(folder)),
        "measured": _measured(hardening),
        "style": style,
        "script": script,
        "policy": policy(style, script),
    }
    return made.get_template("hardening.html.j2").render(values)


def _emphasised(line: str) -> tuple[str, str]:
    """Split a line of the verdict into its subject and its statement."""
    about, colon, said = line.partition(": ")
    return (about + colon, said) if colon else ("", line)


def _measured(hardening: Hardening) -> list[tuple[str, str]]:
    """List how the results were measured, each with a name."""
    return [
        ("Attackers", stealing_words(hardening)),
        ("Allowance", allowance_words(hardening)),
        ("Noise floor", noise_words(hardening)),
        ("Intervals", "95 %, exact (Clopper-Pearson) for shares, 1.96 standard errors for means."),
        ("Seeds", ONE_SEED),
        (
            "p",
            "Fisher's exact test, treating the compared errors as if on different images, which is conservative.",
        ),
        (
            "Best epoch",
            "Chosen on the test images, which favours the attacker; all other results are from the last epoch.",
        ),
    ]


def _pictures(hardening: Hardening, folder: Path) -> dict[str, Picture | None]:
    """Read what was drawn; None stands for what a comparison has no figures for."""
    found = single(hardening)
    return {
        "tradeoff": read_picture(
            folder / TRADEOFF,
            "The attacker's error over the distance of the answers, and over the cost to the owner",
            "With 95 % intervals.",
            tradeoff_words(found),
        ),
        "alpha": read_picture(
            folder / ALPHA,
            "Effect of DivQAT's alpha",
            "Training runs of the search, on the validation images; the axis of alpha is logarithmic, with a place for "
            "0. Points at alphas that were attacked are on the test images, with soft labels.",
            alpha_words(found),
        )
        if has_alphas(hardening)
        else None,
        "reliability": read_picture(
            folder / RELIABILITY,
            "Confidence and accuracy of the answers",
            "Test images in 15 bins of the highest probability; a dot's area grows with the images it stands for. ECE: "
            "expected calibration error.",
            reliability_words(hardening),
        ),
        "sweep": read_picture(
            folder / SWEEP,
            "Cost of each strength",
            "Hollow marks exceed the allowed distance.",
            sweep_words(hardening.sweeps),
        )
        if hardening.sweeps
        else None,
    }


def read_picture(path: Path, title: str, caption: str, words: str) -> Picture:
    """Read a picture to embed; one that is missing or damaged has no data."""
    try:
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
    except (OSError, struct.error):
        return Picture(path.name, title, caption, words, "", 0, 0)
    return Picture(path.name, title, caption, words, base64.b64encode(content).decode(), width, height)
