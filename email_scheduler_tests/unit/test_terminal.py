"""What is shown on a terminal: every value as it is, and nothing of it cut off."""

import ast
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import email_scheduler
from email_scheduler.reports.terminal import Terminal, line, table, texts_table, unbroken
from email_scheduler.visible import visible
from email_scheduler_tests.hostile_values import STORED

PACKAGE = Path(email_scheduler.__file__).parent
# What turns a value into something that rich shows.
MAKERS = {"Text", "Console", "Table"}


def shown(part: object, width: int = 80, *, is_terminal: bool = False) -> str:
    file = io.StringIO()
    Terminal(file=file, width=width, force_terminal=is_terminal, color_system=None).print(part, crop=False)
    return file.getvalue()


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("width", [30, 80])
def test_a_value_is_shown_whole_and_as_it_is_wherever_it_stands(value: str, width: int) -> None:
    expected = squeezed(visible(value))
    for part in (line(value), unbroken(value), value.replace("\n", "")):
        assert squeezed(visible(value.replace("\n", ""))) in squeezed(shown(part, width).replace("\\n", ""))
    assert expected in squeezed(
        shown(table("", "", "", rows=[("name", value)], left={""}, header=False), width)
    )
    assert expected in squeezed(shown(table(value, "a", "b", rows=[(1, 2)]), width))
    assert expected in squeezed(shown(table("", "name", rows=[(value,)]), width))
    assert expected in squeezed(shown(texts_table("name", rows=[(value,)]), width))


@given(st.text(max_size=60))
def test_whatever_a_text_holds_nothing_of_it_reaches_a_terminal_but_what_can_be_seen(text: str) -> None:
    said = visible(text)
    assert "\x1b" not in said
    assert all(each.isprintable() or each.isspace() or not each.isascii() for each in said)
    assert not set(said) & {chr(code) for code in (*range(32), *range(127, 160))}
    assert visible(said) == said
    said.encode()


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=60))
def test_a_text_without_control_characters_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_only_one_module_makes_what_is_shown() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), node.func.id)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS
        if "rich" in path.read_text(encoding="utf-8") and "sqlalchemy" not in path.read_text(encoding="utf-8")
    }
    assert {path for path, _ in found} == {"reports/terminal.py"}
