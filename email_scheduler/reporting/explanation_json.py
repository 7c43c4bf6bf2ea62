"""An explanation as JSON: the fields of ``planning.explanation.results``, dates and moments ISO 8601."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from email_scheduler.planning.explanation.results import Answer


def answer_object(answer: Answer) -> dict[str, Any]:
    """Return an answer for JSON."""
    plain: dict[str, Any] = _plain(asdict(answer))
    return plain


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
