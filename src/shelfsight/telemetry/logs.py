"""The log on stderr: lines for people, or one JSON object a line (`LOG_FORMAT=json`).

The fields of each object are `time` (ISO 8601, UTC), `level`, `logger` and `message`. Further
fields belong to the record: `event` and its counts, or those of an HTTP request.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from shelfsight.telemetry.traces import trace_id

LogFormat = Literal["text", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the HTTP request in progress; each record of the log that belongs to it has this id."""

_STDERR = 2
_LOG = logging.getLogger("shelfsight")


class _State:
    format: LogFormat = "text"


class _StderrHandler(logging.Handler):
    """Writes to what is `sys.stderr` at that moment, so that it may be redirected."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def configure(log_format: LogFormat) -> None:
    """Choose the format of this process's log, and write all records to stderr.

    As JSON, warnings of Python and exceptions that nobody handles are records too.
    """
    handler = _StderrHandler()
    if log_format == "json":
        handler.setFormatter(_json_formatter())
        handler.addFilter(_add_ids)
        logging.captureWarnings(True)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a bar is not JSON
        sys.excepthook = _log_exception
        threading.excepthook = _log_thread_exception
        logging.getLogger().handlers = [handler]
        _LOG.handlers = []
    else:
        handler.setFormatter(logging.Formatter("shelfsight: %(message)s"))
        _LOG.handlers = [handler]
    _LOG.setLevel(logging.INFO)
    _State.format = log_format


def is_json() -> bool:
    """Return whether the log of this process is JSON."""
    return _State.format == "json"


def notifier(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells people a line: a record of the log if that is JSON, otherwise `say`."""
    return _LOG.info if is_json() else say


def log_event(event: str, message: str, **fields: Any) -> None:
    """Write a record with an `event` and its fields, such as counts."""
    _LOG.info({"message": message, "event": event, **fields})


def write_at_once(message: str) -> None:
    """Write a line to stderr without a lock: from a signal handler, or when threads are stuck."""
    line = message
    if is_json():
        now = datetime.now(UTC).isoformat()
        record = {"level": "WARNING", "logger": _LOG.name, "message": message.strip(), "time": now}
        line = json.dumps(record)
    os.write(_STDERR, f"{line}\n".encode())


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415  # only where it is asked for

    return JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
        json_ensure_ascii=False,
    )


def _add_ids(record: logging.LogRecord) -> bool:
    if request_id := REQUEST_ID.get():
        record.request_id = request_id
    if trace := trace_id():
        record.trace_id = trace
    return True


def _log_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _LOG.critical("ended by a bug: %s", kind.__name__, exc_info=(kind, error, trace))


def _log_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        _log_exception(args.exc_type, args.exc_value, args.exc_traceback)
