"""The tables of docs/configuration.md and docs/commands.md, made from the models and from the commands.

Run as ``python -m email_scheduler_tests.reference`` it renews them, and the table of ZIPs (``zip_table.py``);
with ``--check`` it fails where one is not current. A table stands between ``<!-- reference: NAMES -->`` and
``<!-- end -->``; what is around it is written by hand. Each key of the configuration and each command has one
place.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from email_scheduler.cli import app
from email_scheduler.cli.app import COMMANDS
from email_scheduler.cli.shared import Answer, AtBy, command
from email_scheduler.config.organizations import OrganizationsFile
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.setting_types import HIDDEN_NOT_ACCEPTED, NOT_ACCEPTED, WithoutEffect
from email_scheduler_tests import zip_table

DOCS = Path(__file__).parents[1] / "docs"
_PLACE = re.compile(r"<!-- reference: (.+?) -->\n.*?<!-- end -->", re.DOTALL)
_DEFAULT = re.compile(r"\s*\[default: (.*)\]$")
_NO_EFFECT = "no effect"
SHARED = "options that many commands share"


# -- configuration ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A key of the configuration, as it is documented.

    Attributes:
        name: With the sections that it is in; of the entries of a list or mapping its own name.
        model: The class of the entries that it is a key of; empty: of the whole configuration.
        default: What counts where it is left out; ``...`` if it must not be.
        accepted: What the loader says that it accepts.
        meaning: The description of the model.
    """

    name: str
    model: str
    default: object
    accepted: str
    meaning: str


def configuration_keys() -> list[Key]:
    """Return all keys, those of an entry once."""
    found: dict[tuple[str, str], Key] = {}
    for whole in (SchedulerConfig(), OrganizationsFile()):
        for key in _keys_of(type(whole), whole, "", ""):
            found.setdefault((key.model, key.name), key)
    return list(found.values())


def _keys_of(
    model: type[BaseModel], defaults: BaseModel | None, owner: str, prefix: str, meaning: str = ""
) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        default = _default_of(field) if defaults is None else getattr(defaults, name)
        said = _meaning_of(field) or meaning
        if isinstance(default, BaseModel):
            yield from _keys_of(type(default), default, owner, f"{prefix}{name}.", said)
            continue
        yield Key(f"{prefix}{name}", owner, default, _accepted(field.rebuild_annotation()), said)
        if said == meaning != _NO_EFFECT:
            meaning = "the same"
        entry = _entry_model(field.annotation)
        if entry is not None:
            yield from _keys_of(entry, None, entry.__name__, "")


def _default_of(field: FieldInfo) -> object:
    return ... if field.is_required() else field.get_default(call_default_factory=True)


def _meaning_of(field: FieldInfo) -> str:
    marks = [mark for mark in field.metadata if isinstance(mark, WithoutEffect)]
    if marks:
        return ": ".join(filter(None, (_NO_EFFECT, field.description or marks[0].why)))
    return field.description or ""


def _entry_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    return next(filter(None, map(_entry_model, arguments)), None)


def _accepted(annotation: Any) -> str:
    if get_origin(annotation) in {Union, UnionType}:
        parts = [_accepted(each) for each in get_args(annotation) if each is not NoneType]
        return "; ".join([*parts, "`null`"])
    try:
        TypeAdapter(annotation).validate_python(object())
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] in {NOT_ACCEPTED, HIDDEN_NOT_ACCEPTED}:
                return str(problem["ctx"]["accepted"]).replace("<", "&lt;")
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return "its keys, as below"
    if get_origin(inner) is dict and Any not in get_args(inner):
        name, value = map(_accepted, get_args(inner))
        return f"a mapping. Names: {name}. Values: {value}"
    return "a mapping"


def _as_written(value: object) -> str:
    match value:
        case None:
            return "`null`"
        case value if value is ...:
            return "required"
        case bool():
            return f"`{str(value).lower()}`"
        case Mapping():
            return ", ".join(f"`{name}`" for name in value) or "none"
        case frozenset() | tuple():
            return f"`[{', '.join(map(_plain, sorted(value) if isinstance(value, frozenset) else value))}]`"
        case _:
            return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, BaseModel):
        return f"{{{', '.join(f'{name}: {_plain(each)}' for name, each in value)}}}"
    assert isinstance(value, str | int | Decimal | date | Path), value
    return str(value)


def _configuration_table(names: Sequence[str], keys: list[Key]) -> tuple[str, list[Key]]:
    shown = [
        key
        for key in keys
        if any(
            key.model == name or (not key.model and f"{key.name}.".startswith(f"{name}.")) for name in names
        )
    ]
    rows = [(f"`{key.name}`", _as_written(key.default), key.accepted, key.meaning) for key in shown]
    return _table(("key", "default", "accepted", "meaning"), rows), shown


# -- commands ---------------------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Return all commands by name, each followed by those that it has."""
    return dict(_inner("", typer.main.get_command(app)))


def _inner(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        yield f"{prefix}{name}", each
        if hasattr(each, "commands"):
            yield from _inner(f"{prefix}{name} ", each)


@command
def _shared(at: AtBy) -> Answer:
    """Have the options that many commands share, and no other."""
    return Answer(at)


def shared_options() -> dict[str, tuple[str, str, str]]:
    """Return the rows of the options that many commands share, by their long name."""
    alone = typer.Typer(add_completion=False)
    alone.command()(_shared)
    return _rows(typer.main.get_command(alone))


def _rows(each: Any) -> dict[str, tuple[str, str, str]]:
    rows = {}
    for option in each.params:
        name = next((name for name in option.opts if name.startswith("--")), None)
        if name == "--help":
            continue
        metavar = "" if getattr(option, "is_flag", False) else option.metavar or ""
        label = metavar.strip("[]") if name is None else f"{name} {metavar}".strip()
        rows[name or label] = (f"`{label}`", _default_in_words(option), _DEFAULT.sub("", option.help or ""))
    return rows


def _default_in_words(option: Any) -> str:
    said = _DEFAULT.search(option.help or "")
    if said:
        return said[1]
    if option.required:
        return "required"
    if getattr(option, "is_flag", False):
        return "off"
    return "" if option.default is None else f"`{option.default}`"


def _command_table(each: Any, shared: Mapping[str, tuple[str, str, str]]) -> str:
    rows = _rows(each)
    own = [row for name, row in rows.items() if shared.get(name) != row]
    others = [f"`{name}`" for name, row in rows.items() if shared.get(name) == row]
    link = f"[{SHARED}](#{SHARED.replace(' ', '-')})"
    parts = [
        *([_table(("option", "default", "meaning"), own)] if own else []),
        *([f"{'Also' if own else 'It has'} {', '.join(others)}: {link}."] if others else []),
    ]
    return "\n\n".join(parts) or "It has no options."


def _command_list() -> str:
    parts = []
    for title, entries in COMMANDS.items():
        rows = [(f"[`{name}`](#email-scheduler-{name})", entry.says) for name, entry in entries.items()]
        parts.append(_table((title[0].lower() + title[1:], "what it does"), rows))
    return "\n\n".join(parts)


# -- both -------------------------------------------------------------------------------------------------


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def renewed_configuration(text: str) -> str:
    """Return docs/configuration.md with its tables as they have to be.

    Raises:
        ValueError: A key has no place in it, or several, or a place has no key.
    """
    keys = configuration_keys()
    placed: list[Key] = []

    def table_of(names: str) -> str:
        table, shown = _configuration_table(names.split(), keys)
        if not shown:
            raise ValueError(f"configuration.md: there is no key for {names!r}")
        placed.extend(shown)
        return table

    found = _renewed(text, table_of)
    wrong = [f"{key.model} {key.name}".strip() for key in keys if placed.count(key) != 1]
    if wrong:
        raise ValueError(f"configuration.md: needs one place for each of: {', '.join(wrong)}")
    return found


def renewed_commands(text: str) -> str:
    """Return docs/commands.md with its tables as they have to be.

    Raises:
        ValueError: A command has no place in it, or several, or a place has no command.
    """
    shared = shared_options()
    tables = {
        "commands": _command_list(),
        "email-scheduler": _command_table(typer.main.get_command(app), {}),
        SHARED: _table(("option", "default", "meaning"), list(shared.values())),
        **{name: _command_table(each, shared) for name, each in commands().items()},
    }
    placed = _PLACE.findall(text)
    wrong = sorted({name for name in (*tables, *placed) if placed.count(name) != 1 or name not in tables})
    if wrong:
        raise ValueError(f"commands.md: needs one place for each command, and no other: {', '.join(wrong)}")
    return _renewed(text, tables.__getitem__)


def _renewed(text: str, table_of: Any) -> str:
    return _PLACE.sub(
        lambda match: f"<!-- reference: {match[1]} -->\n\n{table_of(match[1])}\n\n<!-- end -->", text
    )


DOCUMENTS = {"configuration.md": renewed_configuration, "commands.md": renewed_commands}


def main() -> None:
    """Renew the tables, or say which file is not current."""
    files = {DOCS / name: renewed for name, renewed in DOCUMENTS.items()} | {
        zip_table.FILE: zip_table.renewed
    }
    for file, renewed in files.items():
        text = file.read_text(encoding="utf-8")
        current = renewed(text)
        if current != text and "--check" in sys.argv:
            sys.exit(f"{file.parent.name}/{file.name} is not current: make reference")
        file.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()
