"""How the API pages read the sources: public names from the re-exports, doctests as code, roles as links."""

import re
from typing import Any, final

import griffe

_DOCTEST = re.compile(r"(?m)^>>> .*(?:\n.+)*")
_ROLE = re.compile(r":\w+:`(~?)([\w.]+)`")


@final
class ApiPages(griffe.Extension):
    """Bring edgerift's docstrings into the form that mkdocstrings renders."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Export what each package re-exports, as if it had an `__all__`."""
        for package in [pkg, *pkg.modules.values()]:
            if package.is_init_module:
                package.exports = [
                    name for name, member in package.members.items() if member.is_alias and not name.startswith("_")
                ]

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence an object's doctests, and turn its cross-references into links."""
        if obj.docstring is not None:
            text = _DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(_link, text)


def _link(found: re.Match[str]) -> str:
    shortened, path = found.groups()
    name = path.rpartition(".")[2] if shortened else path
    return f"[`{name}`][{path}]" if shortened else f"`{name}`"
