"""The log: one line of JSON for each event, without images, tokens or answers."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO, final

from edgerift.errors import first_line


@final
class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; an exception is named, and its traceback is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level and event, and then what the event holds."""
        given: dict[str, Any] = getattr(record, "fields", {})
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "event": record.getMessage(), **given}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = f"{type(error).__name__}: {first_line(error)}"
        return json.dumps(line)


@final
class _Log(logging.Logger):
    """A logger whose lines do not name the place in the code, which takes longer to find than the line to write."""

    def findCaller(self, stack_info: bool = False, stacklevel: int = 1) -> tuple[str, int, str, str | None]:  # noqa: N802
        """Name no place."""
        return "", 0, "", None


def server_log(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Logger:
    """Make the log of one server, on standard error by default; no other logger hears of it."""
    log = _Log("edgerift.serve", level)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    return log
