"""YAML without surprises: what is written is what is read, and one key is replaced by itself.

Unknown types, duplicate keys and numbers that were meant as times are refused; writing a key leaves
everything else as it is written.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from email_scheduler.config.problems import Key, Problem, shown
from email_scheduler.config.setting_types import StateWithSource
from email_scheduler.errors import ConfigurationError
from email_scheduler.files import open_regular

MOST_LEVELS = 30
MOST_VALUES = 100_000
MOST_BYTES = 2_000_000
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_MERGE = "<<"
_UNTAGGED = ""

_Pair = tuple[yaml.Node, yaml.Node]


class _UntaggedLoader(yaml.SafeLoader):
    """Composes nodes whose tag is empty, unless the file says one."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:  # noqa: ARG002 - PyYAML's signature
        return _UNTAGGED


def read_mapping(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Return the mapping that the file holds, and the problems that do not keep it from being read.

    An empty file holds no keys. Of a key that is there twice the last one is in the mapping.

    Raises:
        ConfigurationError: The file cannot be read, or holds no YAML mapping.
    """
    return _read(_read_text(path), path)


def read_text(text: str, path: Path) -> dict[str, Any]:
    """Return the mapping that the text of a file holds; what ``read_mapping`` calls problems is let be.

    Raises:
        ConfigurationError: It holds no YAML mapping.
    """
    return _read(text, path)[0]


def _read(text: str, path: Path) -> tuple[dict[str, Any], list[Problem]]:
    node = compose(text, path)
    if node is None or (isinstance(node, yaml.ScalarNode) and _is_null(node)):
        return {}, []
    if not isinstance(node, yaml.MappingNode):
        found = shown(node.value) if isinstance(node, yaml.ScalarNode) else "a list"
        raise ConfigurationError(
            f"{path}: found {found}: accepted is a mapping, that is lines such as 'key: value'"
        )
    reader = _NodeReader(path)
    return reader.mapping(node, ()), reader.problems


def _read_text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigurationError(f"{path}: too large: accepted are {MOST_BYTES:,} bytes")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: byte {error.start} is not UTF-8: accepted is a text file in UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error


@lru_cache(maxsize=16)
def compose(text: str, path: Path) -> yaml.Node | None:
    """Return the nodes of a YAML text, which nobody changes; None if it holds nothing.

    A run reads the same files anew for each step, and composing them takes longer than all that comes after.

    Raises:
        ConfigurationError: It is not YAML.
    """
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_UntaggedLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError(
            f"{path}: {where}not valid YAML: {error.problem or error.context}"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(
            f"{path}: line {line}: a character that no text file holds: {error.reason}"
        ) from error
    except RecursionError as error:
        raise _too_deep(path) from error
    return node


def _too_deep(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path}: nested too deeply: accepted are {MOST_LEVELS} levels")


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.style is None and bool(_NULL.fullmatch(node.value))


class _NodeReader:
    """Turns nodes into values, and collects what is wrong with them.

    Aliases are followed each time, so that the number of values is that of the values seen by the reader of
    the configuration: a few lines of aliases of aliases cannot grow beyond ``MOST_VALUES``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._values = 0

    def value(self, node: yaml.Node, at: Key) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise ConfigurationError(f"{self.path}: too large: accepted are {MOST_VALUES} values")
        if len(at) > MOST_LEVELS:
            raise _too_deep(self.path)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            self._refuse_tag(node, at)
            return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
        self._refuse_tag(node, at)
        return _scalar(node)

    def mapping(self, node: yaml.MappingNode, at: Key) -> dict[str, Any]:
        self._refuse_tag(node, at)
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(at, f"line {line}: a key that is a list or a mapping: accepted is a name")
                continue
            key = key_node.value
            if key == _MERGE and key_node.style is None:
                for other in self._merged_mappings(value_node, at):
                    merged = {**other, **merged}
                continue
            if key in lines:
                self._problem(
                    (*at, key), f"stands twice, on line {lines[key]} and on line {line}: accepted is once"
                )
            lines[key] = line
            own[key] = self.value(value_node, (*at, key))
        return {**merged, **own}

    def _merged_mappings(self, node: yaml.Node, at: Key) -> Iterator[dict[str, Any]]:
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.value(part, (*at, _MERGE))
            if isinstance(value, dict):
                yield value
            else:
                self._problem(
                    (*at, _MERGE), f"value {shown(value)}: accepted is a mapping, or a list of them"
                )

    def _refuse_tag(self, node: yaml.Node, at: Key) -> None:
        if node.tag != _UNTAGGED:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(at, f"tag {shown(tag)}: accepted is a value without a tag")

    def _problem(self, at: Key, text: str) -> None:
        self.problems.append(Problem(str(self.path), at, text))


def is_text_without_quotes(text: str) -> bool:
    """Tell whether a text that stands in a file without quotation marks is read as that text."""
    return _scalar(yaml.ScalarNode("", text)) == text


def _scalar(node: yaml.Node) -> str | int | bool | Decimal | None:
    text: str = node.value
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


class _Dumper(yaml.SafeDumper):
    """Writes what the strict reader reads: no tags, no aliases, exact numbers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_decimal(dumper: _Dumper, value: Decimal) -> yaml.Node:
    is_whole = value == value.to_integral_value()
    kind, text = ("int", str(int(value))) if is_whole else ("float", format(value.normalize(), "f"))
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    style = None if is_text_without_quotes(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(Decimal, _represent_decimal)
_Dumper.add_representer(str, _represent_text)


def with_value(text: str, key: tuple[str, ...], value: Any) -> str:
    """Return the text of a YAML file in which a key has a value.

    Comments and other keys stay as they are; comments within what is replaced go. Where mappings around the
    key are written in braces, the whole file is written anew, without comments.

    Args:
        text: A file that the strict reader accepts.
        key: The path of the key; mappings that are missing on the way are made.
        value: Models' values are accepted: dates, paths, exact numbers, sets.
    """
    root = compose(text, Path("the file"))
    if root is None or not isinstance(root, yaml.MappingNode):
        return text + ("" if not text or text.endswith("\n") else "\n") + _dumped(_nested(key, value))
    node, depth = root, 0
    while True:
        if node.flow_style or not node.value:
            return _rewritten(text, key, value)
        pair = _find(node, key[depth])
        if pair is None or depth == len(key) - 1 or not isinstance(pair[1], yaml.MappingNode):
            break
        node, depth = pair[1], depth + 1
    lines = text.splitlines(keepends=True)
    column = node.value[0][0].start_mark.column
    written = indent(_dumped(_nested(key[depth:], value)), " " * column)
    if pair is None:
        place = _last_line(node) + 1
        if lines and place == len(lines) and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        return "".join([*lines[:place], written, *lines[place:]])
    return "".join([*lines[: pair[0].start_mark.line], written, *lines[_last_line(pair[1]) + 1 :]])


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each type
    """Return a value of a model as a file can hold it."""
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case frozenset() | set():
            return [plain(item) for item in sorted(value)]
        case StateWithSource():
            return value.written()
        case tuple() | list():
            return [plain(item) for item in value]
        case date():
            return value.isoformat()
        case Path():
            return str(value)
        case _:
            return value


def _rewritten(text: str, key: tuple[str, ...], value: Any) -> str:
    content = read_text(text, Path("the file"))
    inner = content
    for part in key[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[key[-1]] = value
    return _dumped(content)


def _dumped(value: Any) -> str:
    text: str = yaml.dump(
        plain(value),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=1_000,
        default_flow_style=False,
    )
    return text


def _nested(key: tuple[str, ...], value: Any) -> Any:
    for part in reversed(key):
        value = {part: value}
    return value


def _find(node: yaml.MappingNode, name: str) -> _Pair | None:
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return key, value
    return None


def _last_line(node: yaml.Node) -> int:
    """Return the last line with content of a node; comments after it are not its own."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    # texts over several lines end where the next line begins
    return end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line
