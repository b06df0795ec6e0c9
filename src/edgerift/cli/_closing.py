"""The command that would close the gap which an audit found, derived from how the audit was called."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgerift import deploy
from edgerift.cli._commands import changed_words, option_words, path_word
from edgerift.cli._train import OriginalOptions
from edgerift.errors import EdgeriftError
from edgerift.settings import is_folder

if TYPE_CHECKING:
    from edgerift.cli._audit import AuditCommand

#: The training of an original that is given has happened; of its options these still count.
_OF_A_FILE: Final = ("model", "input", "stem", "device", "seed", "batch_size")


def closing_command(audit: AuditCommand, folder: Path) -> str:
    """Write the command that hardens an audit's original into a folder beside the audit's, as a shell takes it."""
    original, adapting = _original(audit), audit.adapting.replace(target=_target(audit))
    words = ["edgerift", "harden", "--against", "evasion", *changed_words(audit.data)]
    if original is None:
        words += changed_words(audit.training)
    else:
        left_out = tuple(name for name in OriginalOptions.model_fields if name not in _OF_A_FILE)
        words += ["--original", path_word(original), *changed_words(audit.training, left_out)]
    words += changed_words(adapting, ("method", "compressing"))
    words += option_words("runtime", audit.runtime)
    attacking = type(audit.attacking).model_fields
    words += changed_words(audit.attacking, tuple(name for name in attacking if name != "epsilon"))
    words += option_words("policy", audit.policy)
    words += option_words("trust", audit.trust and original is not None)
    return shlex.join([*words, "--out", path_word(folder.parent / f"{folder.name or 'audit'}-hardened")])


def _original(audit: AuditCommand) -> Path | None:
    """Find the original that was audited; None if it was trained from the options."""
    if audit.original is not None or audit.adapted is None:
        return audit.original
    folder = audit.adapted if is_folder(audit.adapted) else audit.adapted.parent
    return folder / "original.safetensors"


def _target(audit: AuditCommand) -> str:
    """Find the target that was audited: that of the options, of the program, or of the build's runtime."""
    if audit.adapted is not None:
        path = audit.adapted / "program.safetensors" if is_folder(audit.adapted) else audit.adapted
        try:
            return deploy.Program.load(path).target
        except EdgeriftError:
            # The audit itself says what is wrong with it.
            return audit.adapting.target
    named = [
        entry for entry in deploy.RUNTIMES.parts() if audit.build is not None and audit.build.suffix == entry.suffix
    ]
    return (named[0].default_for or named[0].targets)[0] if named else audit.adapting.target
