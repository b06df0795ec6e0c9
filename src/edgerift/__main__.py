"""The command line as a program: `edgerift` and `python -m edgerift`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C ends it with 130 from the first moment on."""
    # Some modules swallow what is raised while they are imported; nothing is done yet that could be left half done.
    before = signal.signal(signal.SIGINT, _leave)
    # What is imported stays: there is nothing to collect.
    gc.disable()
    # Edgerift has no plugins of pydantic, and to look for some opens every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from edgerift.cli import main as run

    def start() -> None:
        gc.enable()
        signal.signal(signal.SIGINT, before)

    return run(starting=start)


def _leave(_: int, __: FrameType | None) -> None:
    os.write(2, b"edgerift: stopped before anything was done\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
