"""An attack of a user's own in a description: a function by its name, and the digest of the file that defines it."""

from __future__ import annotations

import hashlib
from typing import Final

from pydantic import PrivateAttr

from edgerift import zoo
from edgerift.errors import InputError
from edgerift.settings import Settings

CALL: Final = "attack(models, images, labels, epsilon=..., steps=..., seed=...) -> images"


class OwnAttack(Settings):
    """A user's own attack: `module:function` or `path/file.py:function`, and the SHA-256 of the file that defines it.

    What that file imports is not part of the digest. The code runs only where :func:`describe_own` was told so; no
    description that was read from a file is trusted.
    """

    name: str
    sha256: str
    _trusted: bool = PrivateAttr(default=False)

    @property
    def trusted(self) -> bool:
        """Whether the code of the function may be imported and run."""
        return self._trusted


def is_own(name: str) -> bool:
    """Return whether a name of an attack is that of a user's own function.

    >>> is_own("pgd"), is_own("my_attacks:jitter"), is_own("my_attacks.py:jitter")
    (False, True, True)
    """
    return ":" in name


def describe_own(name: str, *, trust: bool) -> OwnAttack:
    """Describe a user's own attack, without running its code; raises `InputError` where there is no such file."""
    file = zoo.source_file(name) if name.rpartition(":")[2] else None
    if file is None:
        raise InputError(
            f"no Python file defines attack '{name}'; write path/file.py:function, or module:function of a module that "
            "is installed or on PYTHONPATH"
        )
    own = OwnAttack(name=name, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    own._trusted = trust
    return own
