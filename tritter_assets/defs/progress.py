"""The console logger of runs: one line for what a person waits for, nothing for the engine."""

import logging
import sys
from typing import Any

import dagster as dg

_ENGINE_EVENTS_SHOWN = {"STEP_FAILURE", "RUN_FAILURE", "ASSET_CHECK_EVALUATION"}


class _ProgressFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", None) or {}
        event = meta.get("dagster_event")
        if record.levelno >= logging.ERROR:
            return True
        if event is None:
            return record.levelno >= logging.INFO
        return event.event_type_value in _ENGINE_EVENTS_SHOWN and not _passed(event)


def _passed(event: dg.DagsterEvent) -> bool:
    """True for checks that nobody must act on now; warnings stand in the UI."""
    data: Any = event.event_specific_data
    if event.event_type_value != "ASSET_CHECK_EVALUATION":
        return False
    return bool(data.passed) or data.severity is dg.AssetCheckSeverity.WARN


class _ProgressFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None) or {}
        message = meta.get("orig_message") or record.getMessage()
        clock = self.formatTime(record, "%H:%M:%S")
        level = "" if record.levelno < logging.WARNING else f"{record.levelname} "
        text = f"{clock} {level}{message}"
        event = meta.get("dagster_event")
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        return text if error is None else f"{text}\n{_root_cause(error)}"


def _root_cause(error: object) -> str:
    while getattr(error, "cause", None) is not None:
        error = error.cause  # type: ignore[attr-defined]
    return "    " + str(getattr(error, "message", error)).strip()


def _build_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """Builds the logger of one run."""
    del init_context
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ProgressFilter())
    handler.setFormatter(_ProgressFormatter())
    logger = logging.Logger("tritter", level=logging.DEBUG)
    logger.addHandler(handler)
    return logger


progress_logger = dg.LoggerDefinition(
    _build_logger, description="One line per materialised partition; errors with their cause."
)
"""Replaces the framework's `console` logger in this code location."""
