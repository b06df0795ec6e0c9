"""From arguments to an exit code: parse, run one verb, and word whatever goes wrong in one line."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

import edgerift
from edgerift import train
from edgerift.cli._parsing import is_incomplete, parse
from edgerift.errors import EdgeriftError, first_line, one_line

#: What a shell expects of a program that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130

#: The longest message that is shown whole.
_LONGEST = 4000


def main(arguments: Sequence[str] | None = None, starting: Callable[[], object] = lambda: None) -> int:
    """Run the command line and return its exit code; `starting` is called when all is imported and nothing done yet.

    0: done. 1: a gate failed. 2: wrong input or a failure, told in one line on standard error. 130: Ctrl-C. With
    `EDGERIFT_TRACEBACK=1` in the environment the traceback is shown too.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        sys.stdout.write(f"edgerift {edgerift.__version__}\n")
        return 0
    train.keep_freed_memory()
    try:
        return 2 if is_incomplete(given) else _run(given, starting)
    except KeyboardInterrupt:
        return _fail("stopped; run the same command again to resume", INTERRUPTED)
    except EdgeriftError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return 2
    except OSError as error:
        return _fail(f"cannot use {error.filename or 'a file'} ({error.strerror or first_line(error)}); choose another")
    except MemoryError:
        return _fail("out of memory; use fewer or smaller images, or a smaller batch")
    except Exception as error:  # A user gets one line for our mistakes too; the variable gives the rest.
        told = f"internal error, {type(error).__name__}: {first_line(error)}"
        return _fail(f"{told}; EDGERIFT_TRACEBACK=1 shows where, please report it")


def _run(given: list[str], starting: Callable[[], object]) -> int:
    command = parse(given)
    if command is None:
        return 0
    for name in command.imports:
        import_module(name)
    starting()
    return command.called_as(shlex.join(["edgerift", *given])).run()


def _fail(message: str, code: int = 2) -> int:
    if os.environ.get("EDGERIFT_TRACEBACK"):
        traceback.print_exc()
    line = one_line(message)
    sys.stderr.write(f"edgerift: {line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}\n")
    return code
