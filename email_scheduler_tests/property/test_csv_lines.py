"""Whatever a CSV file holds: no line is lost, none is taken that is not there, and each bad one is told."""

import csv
import io
import json
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.campaigns.selections import read_targets
from email_scheduler.database.csv_files import BadLines, escape_cell, unescape_cell, write_csv
from email_scheduler.errors import UsageError

some = settings(max_examples=150, deadline=None, derandomize=True, database=None)

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
free_cells = cells.map(lambda text: text.strip()).filter(lambda text: text != "")
good_ids = st.integers(0, 10**18 - 1)
good_dates = st.dates(date(1900, 1, 1), date(2200, 12, 31))
bad_ids = st.sampled_from(["x", "1.5", "-3", "1e3", "12 34", "9" * 19, "=1"])
bad_dates = st.sampled_from(
    ["tomorrow", "2027-2-3", "2027-02-30", "12/31/2027", "1899-12-31", "2027-01-01x", "2027-02-29 00:00"]
)


def read(text: str) -> tuple[list, list[tuple[int, str, str]]]:
    bad = BadLines()
    return list(read_targets(io.StringIO(text, newline=""), "file", bad, needs_date=False)), list(bad)


@some
@given(st.text(max_size=200), st.sampled_from(["contact_id\n", "email,x\n", "contact_id;trigger_date\n", ""]))
def test_no_text_breaks_the_reader_and_every_line_is_taken_told_or_blank(text: str, heading: str) -> None:
    content = heading + text
    try:
        lines, bad = read(content)
    except UsageError:
        return
    taken, told = [line.number for line in lines], {line for line, _, _ in bad}
    assert taken == sorted(set(taken))
    assert not told & set(taken)
    physical = io.StringIO(content, newline="").readlines()
    for number, line in enumerate(physical, start=1):
        is_blank = all(each.isspace() or each in ",;" for each in line)
        if number > 1 and not is_blank and '"' not in content:
            assert number in told or number in taken, (number, line)


@some
@given(
    st.lists(
        st.tuples(
            st.one_of(good_ids, bad_ids),
            st.one_of(good_dates, bad_dates, st.just("")),
            st.one_of(free_cells, st.just("")),
        ),
        max_size=20,
    )
)
def test_the_lines_that_are_told_are_the_bad_ones_exactly(rows: list[tuple[object, object, str]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("contact_id", "trigger_date", "note"))
    first_lines = []
    for row in rows:
        first_lines.append(len(io.StringIO(file.getvalue(), newline="").readlines()) + 1)
        writer.writerow(row)
    lines, bad = read(file.getvalue())
    expected_bad = {
        (number, column)
        for number, (contact_id, trigger_date, _) in zip(first_lines, rows, strict=True)
        for column, is_good in (
            ("contact_id", isinstance(contact_id, int)),
            ("trigger_date", isinstance(trigger_date, date) or trigger_date == ""),
        )
        if not is_good
    }
    assert {(number, column) for number, column, _ in bad} == expected_bad
    bad_numbers = {number for number, _ in expected_bad}
    taken = [row for number, row in zip(first_lines, rows, strict=True) if number not in bad_numbers]
    assert [(line.contact_id, line.trigger_date, note_of(line.metadata)) for line in lines] == [
        (contact_id, str(trigger_date) or None, unescape_cell(note) or None)
        for contact_id, trigger_date, note in taken
    ]


def note_of(metadata: str | None) -> str | None:
    return None if metadata is None else json.loads(metadata)["note"]


@some
@given(st.lists(st.tuples(good_ids, st.one_of(good_dates, st.none()), free_cells), max_size=20))
def test_what_is_written_is_read_again_as_it_was(rows: list[tuple[int, date | None, str]]) -> None:
    file = io.StringIO(newline="")
    assert write_csv(file, ("contact_id", "trigger_date", "note"), rows) == len(rows)
    lines, bad = read(file.getvalue())
    assert bad == []
    assert [(line.contact_id, line.trigger_date, note_of(line.metadata)) for line in lines] == [
        (contact_id, None if day is None else day.isoformat(), note) for contact_id, day, note in rows
    ]


@some
@given(st.text())
def test_no_written_cell_begins_like_a_formula_and_none_is_lost(text: str) -> None:
    assert escape_cell(text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert unescape_cell(escape_cell(text)) == text
