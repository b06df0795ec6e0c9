"""The log: one line of JSON for each event, without images, tokens or answers."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final, TextIO, final

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


#: What a record says of its place in code, thread and process: nothing, as that takes longer to find out than the line
#: to write.
_NO_PLACE: Final[dict[str, Any]] = {
    **dict.fromkeys(("pathname", "filename", "module", "funcName", "threadName", "processName"), ""),
    **dict.fromkeys(("lineno", "thread", "process", "msecs", "relativeCreated"), 0),
    **dict.fromkeys(("exc_text", "stack_info", "taskName"), None),
}


@final
class _Record(logging.LogRecord):
    """An event without its place."""

    def __init__(self, name: str, level: int, message: object, args: Any, exc_info: Any) -> None:
        """Note what happened, now."""
        self.__dict__.update(_NO_PLACE)
        self.name, self.levelno, self.levelname = name, level, logging.getLevelName(level)
        self.msg, self.args, self.exc_info, self.created = str(message), args, exc_info, time.time()


@final
class _Log(logging.Logger):
    """A logger of such records."""

    def findCaller(self, stack_info: bool = False, stacklevel: int = 1) -> tuple[str, int, str, str | None]:  # noqa: N802
        """Name no place."""
        return "", 0, "", None

    def makeRecord(  # noqa: N802
        self, name: str, level: int, fn: str, lno: int, msg: object, args: Any, exc_info: Any, *rest: Any, **more: Any
    ) -> logging.LogRecord:
        """Make a record of an event, with its fields."""
        record = _Record(name, level, msg, args, exc_info)
        record.__dict__.update((rest[1] if len(rest) > 1 else more.get("extra")) or {})
        return record


def server_log(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Logger:
    """Make the log of one server, on standard error by default; no other logger hears of it."""
    log = _Log("edgerift.serve", level)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    return log
