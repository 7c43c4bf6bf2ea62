"""Settings as they are typed: ``KEY=VALUE``, in the words of the configuration."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from email_scheduler.errors import UsageError

_SETTING: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)=(.*)", re.DOTALL)
_WHOLE_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return settings as a mapping; a dot in a key leads into an inner one.

    Values are read as in the configuration: ``true``, ``false``, ``null``, whole numbers, else a text. In
    double quotes everything is a text. In square brackets stand several, with commas between them; brackets
    of either kind may also hold JSON.

    Raises:
        UsageError: One has no ``=``, a key stands twice, or brackets cannot be read.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise UsageError(f"setting {text!r}; accepted is KEY=VALUE, such as priority=3")
        *path, last = match[1].split(".")
        inner = settings
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UsageError(f"setting {text!r}: {part} stands further up with a value of its own")
        if last in inner:
            raise UsageError(f"setting {text!r}: {match[1]} stands twice; accepted is once")
        inner[last] = _value(match[2].strip())
    return settings


def _value(text: str) -> object:
    if text[:1] + text[-1:] not in {"[]", "{}"}:
        return _single(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.startswith("[") and not set(text[1:-1]) & set("[]{}"):
            return [_single(each.strip()) for each in text[1:-1].split(",")]
        raise UsageError(
            f"setting {text!r}; accepted in brackets is JSON, with all names and texts in double quotes"
        ) from error


def _single(text: str) -> object:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text
