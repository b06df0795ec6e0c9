"""What every HTML page of a report shares: its templates, its filters and its content security policy."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from edgerift.report.shared import _words
from edgerift.report.shared._thief_words import thief_words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def policy(style: str, script: str) -> str:
    """Write the content security policy: this style, this script and embedded images, nothing else."""
    parts = ("default-src 'none'", "img-src data:", f"style-src {_hash(style)}", f"script-src {_hash(script)}")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def asset(name: str) -> str:
    """Read a template, a style sheet or a script."""
    return resources.files("edgerift.report").joinpath("templates", name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Make the environment that renders the templates."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    words = ("percent", "bounds", "rate", "p_value", "points", "fixed", "gate_numbers", "sentence", "levels", "as_json")
    made.filters |= {name: getattr(_words, name) for name in (*words, "attack_words", "size_words")}
    made.filters |= {"breakable": _breakable, "thief_words": thief_words}
    made.globals |= {"class_name": _words.class_name, "replay": _words.replay_command}
    return made


def _breakable(name: str) -> Markup:
    """Let a long name break after its dots, slashes and underscores."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[./_])(?=.)", _words.plain(name))
    return Markup("<wbr>").join(escape(part) for part in parts)


def _finalize(value: Any) -> Any:
    return _words.plain(value) if type(value) is str else value
