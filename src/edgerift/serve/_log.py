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


def server_log(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Logger:
    """Make the log of one server, on standard error by default; no other logger hears of it."""
    log = logging.Logger("edgerift.serve", level)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    return log
