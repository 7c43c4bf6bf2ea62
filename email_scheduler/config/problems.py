"""What is wrong with a configuration, one line each: file, key, value, and what is accepted."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from email_scheduler.config.setting_types import HIDDEN_NOT_ACCEPTED, NOT_ACCEPTED
from email_scheduler.errors import ConfigurationError
from email_scheduler.visible import visible

Key = tuple[str | int, ...]
# gives the file that holds a key, and the key's path in that file
FileOfKey = Callable[[Key], tuple[str, Key]]

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MOST_CHARACTERS = 80
_MOST_LEVELS = 5
_MOST_PROBLEMS = 100
# a password of a URL may hold blanks and at signs, or stand behind the question mark
_CREDENTIALS = re.compile(r"://.*@")
_PARAMETERS = re.compile(r"(://[^?]*)\?.*")
_OF_THE_KEY = "[key]"
_ACCEPTED_BY_TYPE = {
    "model_type": "a mapping (to have the defaults, leave the key out)",
    "model_attributes_type": "a mapping (to have the defaults, leave the key out)",
    "dict_type": "a mapping (to have the defaults, leave the key out)",
    "mapping_type": "a mapping (to have the defaults, leave the key out)",
}


@dataclass(frozen=True)
class Problem:
    """One line of an error.

    Attributes:
        file: The file that holds it.
        key: The path of the key; empty where the whole file is concerned.
        text: The value, and what is accepted.
    """

    file: str
    key: Key
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {key_path(self.key)}: {self.text}" if self.key else f"{self.file}: {self.text}"


def refuse(problems: Sequence[Problem]) -> None:
    """Do nothing if there are no problems.

    Raises:
        ConfigurationError: There are; one line each, none twice, and no more than anybody reads.
    """
    if problems:
        lines = list(dict.fromkeys(map(str, problems)))
        more = len(lines) - _MOST_PROBLEMS
        if more > 0:
            lines[_MOST_PROBLEMS:] = [f"{problems[-1].file}: and {more:,} more problems"]
        raise ConfigurationError("\n".join(lines))


def shown(value: object, levels: int = _MOST_LEVELS) -> str:
    """Return the value on one line, as YAML would write it, cut where it is long or nested deeply."""
    match value:
        case Mapping() if not levels:
            text = "{...}"
        case list() | tuple() if not levels:
            text = "[...]"
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case Decimal():
            text = str(value)
        case Mapping():
            text = (
                "{"
                + ", ".join(f"{key}: {shown(item, levels - 1)}" for key, item in list(value.items())[:10])
                + "}"
            )
        case list() | tuple():
            text = "[" + ", ".join(shown(item, levels - 1) for item in value[:10]) + "]"
        case _:
            text = repr(value)
    text = _PARAMETERS.sub(r"\1?...", _CREDENTIALS.sub("://...@", visible(text)))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def key_path(key: Key) -> str:
    """Return the key as an operator reads it: ``aep_config.default_dates (entry 1).day``."""
    path = ""
    for part in key:
        if isinstance(part, int):
            path += f" (entry {part + 1})"
        else:
            path += ("." if path else "") + (part if _PLAIN_KEY.fullmatch(part) else shown(part))
    return path


def problems_of(
    error: ValidationError, model: type[BaseModel], raw: object, file_of: FileOfKey
) -> list[Problem]:
    """Return what pydantic found, in the words of this module.

    Args:
        error: What validating ``raw`` as ``model`` raised.
        model: The model.
        raw: What was validated.
        file_of: Gives the file that holds a key, and the key's path in that file.
    """
    problems = []
    for details in error.errors(include_url=False):
        is_of_the_key = details["loc"][-1:] == (_OF_THE_KEY,)
        key = _written_key(raw, tuple(part for part in details["loc"] if part != _OF_THE_KEY))
        file, key_in_file = file_of(key)
        problems.append(Problem(file, key_in_file, _text(details, model, key, is_of_the_key=is_of_the_key)))
    return problems


def _text(details: ErrorDetails, model: type[BaseModel], key: Key, *, is_of_the_key: bool) -> str:
    value = shown(details["input"])
    if details["type"] == "extra_forbidden":
        return f"unknown key: accepted is one of {', '.join(_known_keys(model, key[:-1]))}"
    if details["type"] == "missing":
        return "missing: accepted is a value for this key"
    if details["type"] == HIDDEN_NOT_ACCEPTED:
        return f"value (not shown): {details['msg']}"
    if details["type"] == NOT_ACCEPTED:
        return f"{'key' if is_of_the_key else 'value'} {value}: {details['msg']}"
    accepted = _ACCEPTED_BY_TYPE.get(details["type"], details["msg"])
    return f"value {value}: accepted is {accepted}"


def _written_key(raw: object, loc: Key) -> Key:
    """Leave out the index of a window that is written as a mapping, not as a list of one."""
    written: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and isinstance(raw, Mapping):
            continue
        written.append(part)
        if isinstance(raw, Mapping):
            raw = raw.get(part)
        elif isinstance(raw, list | tuple) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
    return tuple(written)


def _known_keys(model: type[BaseModel], key: Key) -> list[str]:
    """Return the keys of the mapping at this path."""
    kind: Any = model
    for part in key:
        kind = _bare(kind)
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        else:
            kind = kind.model_fields[part].annotation
    kind = _bare(kind)
    # a state's only window may be written without the list
    section = _bare(get_args(kind)[0]) if get_origin(kind) is tuple else kind
    return list(section.model_fields)


def _bare(kind: Any) -> Any:
    while get_origin(kind) is Annotated or get_origin(kind) in {Union, UnionType}:
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return kind
