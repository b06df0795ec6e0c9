"""The page at `/`: what is served, what is left of a budget, and a form to try an image."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
from importlib import resources
from string import Template

from edgerift.images import size_text
from edgerift.serve._protocol import Signature


@functools.lru_cache(maxsize=8)
def page(signature: Signature) -> tuple[str, str]:
    """Write the page and its content security policy: its own style and script, and this server alone."""
    style, script = _asset("page.css"), _asset("page.js")
    content = Template(_asset("page.html")).substitute(
        name=html.escape(signature.name),
        runtime=html.escape(signature.runtime),
        size=html.escape(size_text(signature.shape.size)),
        kind="greyscale" if signature.shape.channels == 1 else "colour",
        channels=signature.shape.channels,
        height=signature.shape.height,
        width=signature.shape.width,
        classes=len(signature.classes),
        style=style,
        script=script,
    )
    parts = ("default-src 'none'", f"style-src {_hash(style)}", f"script-src {_hash(script)}", "connect-src 'self'")
    return content, "; ".join((*parts, "img-src blob: data:", "base-uri 'none'", "form-action 'none'"))


def _asset(name: str) -> str:
    return resources.files("edgerift.serve").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
