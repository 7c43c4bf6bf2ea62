"""Writing values into YAML files: one key is replaced, everything else stays as it is written."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from email_scheduler.config.strict_yaml import compose, is_text_without_quotes, read_text

_Pair = tuple[yaml.Node, yaml.Node]


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


def plain(value: Any) -> Any:
    """Return a value of a model as a file can hold it."""
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case frozenset() | set():
            return sorted(plain(item) for item in value)
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
