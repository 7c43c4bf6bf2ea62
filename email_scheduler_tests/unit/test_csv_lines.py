"""Reading targets from CSV: what is taken, what is refused, and which line is told."""

import io
import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from email_scheduler.campaigns.selections import NO_DATE, TargetLine, read_csv, read_targets
from email_scheduler.config.loader import load_config
from email_scheduler.database.csv_files import (
    ACCEPTED_DATE,
    ACCEPTED_ID,
    CELL_COUNT,
    HAS_NUL,
    LONG_CELL,
    LONG_LINE,
    LONGEST_CELL,
    MOST_LISTED,
    NO_CONTACT,
    NOT_QUOTED,
    NOT_TEXT,
    BadLines,
    BadLinesError,
    write_csv,
)
from email_scheduler.errors import ConfigurationError, UsageError


def read(text: str, *, needs_date: bool = False) -> tuple[list[TargetLine], list[tuple[int, str, str]]]:
    bad = BadLines()
    lines = list(read_targets(io.StringIO(text, newline=""), "targets.csv", bad, needs_date=needs_date))
    return lines, list(bad)


def test_columns_are_told_by_the_heading_in_any_order_and_any_case() -> None:
    lines, bad = read("Trigger_Date, Contact_ID \n2027-03-01, 17\n")
    assert lines == [TargetLine(2, 17, None, "2027-03-01", None)]
    assert bad == []


def test_further_columns_become_metadata_where_they_are_not_blank() -> None:
    lines, _ = read("contact_id,carrier,Plan\n1,Acme,G\n2,, \n")
    assert [line.metadata and json.loads(line.metadata) for line in lines] == [
        {"carrier": "Acme", "plan": "G"},
        None,
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_separate_cells(delimiter: str) -> None:
    lines, bad = read(
        delimiter.join(("contact_id", "trigger_date")) + "\n" + delimiter.join(("7", "2027-03-01"))
    )
    assert (lines, bad) == ([TargetLine(2, 7, None, "2027-03-01", None)], [])


@pytest.mark.parametrize("formula", ["=1+1", "+49 30", "-5", "@here", '=HYPERLINK("x")'])
def test_a_cell_that_looks_like_a_formula_is_data(formula: str) -> None:
    quoted = formula.replace('"', '""')
    lines, bad = read(f'contact_id,note\n1,"{quoted}"\n')
    assert bad == []
    assert json.loads(lines[0].metadata or "") == {"note": formula}


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("'=1", "''=1"),
        ("plain", "plain"),
        ("'tis", "'tis"),
        (None, ""),
    ],
)
def test_a_cell_that_looks_like_a_formula_is_written_with_an_apostrophe(
    cell: str | None, written: str
) -> None:
    file = io.StringIO()
    assert write_csv(file, ["contact_id", "note"], [[1, cell]]) == 1
    assert file.getvalue() == f"contact_id,note\r\n1,{written}\r\n"


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("x,,2027-03-01", "contact_id", ACCEPTED_ID),
        ("1.5,,", "contact_id", ACCEPTED_ID),
        ("1.,,", "contact_id", ACCEPTED_ID),
        ("-1,,", "contact_id", ACCEPTED_ID),
        ("1234567890123456789,,", "contact_id", ACCEPTED_ID),
        ("\u0661,,", "contact_id", ACCEPTED_ID),
        (",,2027-03-01", "email", NO_CONTACT),
        ("1,,03/01/2027", "trigger_date", ACCEPTED_DATE),
        ("1,,2027-02-29", "trigger_date", ACCEPTED_DATE),
        ("1,,20270301", "trigger_date", ACCEPTED_DATE),
        ("1,,1899-12-31", "trigger_date", ACCEPTED_DATE),
        ("1,,2201-01-01", "trigger_date", ACCEPTED_DATE),
        ("1,", "", CELL_COUNT),
        ("1,,,x", "", CELL_COUNT),
        ("1,,2027-02-30 00:00:00", "trigger_date", ACCEPTED_DATE),
        ("1,,2027-02-28x", "trigger_date", ACCEPTED_DATE),
        ('1,"a"b,', "", NOT_QUOTED),
        ("1,\udcff@x.org,", "", NOT_TEXT),
        ("1,a\0b@x.org,", "", HAS_NUL),
    ],
)
def test_a_bad_line_is_told_with_its_column_and_the_others_are_taken(
    line: str, column: str, reason: str
) -> None:
    lines, bad = read(f"contact_id,email,trigger_date\n5,,\n{line}\n6,,\n")
    assert bad == [(3, column, reason)]
    assert [(each.number, each.contact_id) for each in lines] == [(2, 5), (4, 6)]


def test_a_line_may_be_bad_for_several_reasons() -> None:
    _, bad = read("contact_id,trigger_date\nx,y\n")
    assert bad == [(2, "contact_id", ACCEPTED_ID), (2, "trigger_date", ACCEPTED_DATE)]


def test_a_missing_date_is_bad_only_where_the_instance_has_none() -> None:
    assert read("contact_id,trigger_date\n1,\n")[1] == []
    assert read("contact_id,trigger_date\n1,\n", needs_date=True)[1] == [(2, "trigger_date", NO_DATE)]
    assert read("contact_id\n1\n", needs_date=True)[1] == [(2, "trigger_date", NO_DATE)]


def test_blank_lines_are_passed_over_and_counted() -> None:
    lines, bad = read("contact_id\r\n\r\n1\r\n\r\nx\r\n")
    assert [line.number for line in lines] == [3]
    assert bad == [(5, "contact_id", ACCEPTED_ID)]


def test_a_cell_of_several_lines_does_not_shift_the_lines_after_it() -> None:
    lines, bad = read('contact_id,note\n1,"a\nb\nc"\nx,y\n2,z\n')
    assert [line.number for line in lines] == [2, 6]
    assert bad == [(5, "contact_id", ACCEPTED_ID)]


def test_a_quotation_mark_that_is_never_closed_is_told_where_it_begins_and_takes_nobody_in() -> None:
    lines, bad = read('contact_id,note\n1,ok\n2,"never closed\n3,x\n4,y\n')
    assert [line.contact_id for line in lines] == [1]
    assert bad == [(3, "", NOT_QUOTED)]


@pytest.mark.parametrize(
    ("heading", "told"),
    [
        ("", "no heading"),
        ("\n;;\n \n", "no heading"),
        ("sep=;\n", "no heading"),
        ("\n1", "line 2: none of the 1 columns is contact_id or email"),
        ("sep=;\n\ncontact_id;;x;", "line 3: column 2 has no name"),
        ("id,trigger_date", "none of the 2 columns is contact_id or email"),
        ("contact_id,,x", "column 2 has no name"),
        ("contact_id,note,Note", "columns 2 and 3 have the same name"),
        ('contact_id,"x', "line 1: quotation marks do not match"),
        ("contact_id,\udce9", "line 1: not text in UTF-8"),
        ("contact_id,\0", "line 1: holds a NUL"),
    ],
)
def test_a_heading_that_cannot_be_used_is_refused(heading: str, told: str) -> None:
    with pytest.raises(UsageError, match=r"targets\.csv") as refused:
        read(heading)
    assert told in str(refused.value)


def test_a_byte_order_mark_and_bytes_that_are_no_utf_8_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_bytes(b"\xef\xbb\xbfcontact_id,note\r\n1,caf\xe9\r\n2,caf\xc3\xa9\r\n")
    bad = BadLines()
    assert [line.contact_id for line in read_csv(path, bad, needs_date=False)] == [2]
    assert list(bad) == [(2, "", NOT_TEXT)]


@pytest.mark.parametrize(
    "text",
    [
        "contact_id;trigger_date\n7;2027-03-01\n",
        "sep=;\r\ncontact_id;trigger_date\r\n7;2027-03-01\r\n",
        '"sep=;"\ncontact_id;trigger_date\n7;2027-03-01\n',
        "SEP=,;;\ncontact_id,trigger_date\n7,2027-03-01\n",
        "sep=|\n||\ncontact_id|trigger_date|\n7|2027-03-01|\n||\n",
        "\n\n;;;\n \ncontact_id;trigger_date\n7;2027-03-01\n",
        "contact_id;trigger_date;;\n7;2027-03-01;;\n;;;\n\n;;;\n",
        "contact_id;trigger_date; ;\n7;2027-03-01\n",
        "contact_id,trigger_date\n7,2027-03-01,,\n , \n",
        '"","",""\ncontact_id,trigger_date\n"7","2027-03-01",""\n"","",""\n',
        "contact_id,trigger_date\n7.0,2027-03-01 00:00:00\n",
        "contact_id,trigger_date\n7.00,2027-03-01T08:30:00-06:00\n",
    ],
)
def test_what_spreadsheets_leave_in_a_file_is_passed_over(text: str) -> None:
    lines, bad = read(text)
    assert bad == []
    assert [(line.contact_id, line.trigger_date) for line in lines] == [(7, "2027-03-01")]


def test_a_separator_that_the_file_names_counts_though_another_one_is_more_frequent() -> None:
    lines, bad = read("sep=;\ncontact_id;a,b,c,d\n7;x,y\n")
    assert bad == []
    assert [json.loads(line.metadata or "") for line in lines] == [{"a,b,c,d": "x,y"}]


def test_lines_are_counted_from_the_beginning_of_the_file() -> None:
    lines, bad = read('\n\nsep=;\n\ncontact_id;"no\nte"\n1;\n;;\nx;\n')
    assert [line.number for line in lines] == [7]
    assert bad == [(9, "contact_id", ACCEPTED_ID)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "a workbook, such as an .xlsx file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of an older Excel"),
        ("contact_id\n1\n".encode("utf-16"), "text in UTF-16"),
        ("contact_id\n1\n".encode("utf-16-le"), "text in UTF-16"),
        ("contact_id\n1\n".encode("utf-16-be"), "text in UTF-16"),
    ],
)
def test_a_workbook_and_a_file_in_utf_16_are_recognised_and_named(
    tmp_path: Path, content: bytes, kind: str
) -> None:
    path = tmp_path / "targets.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        list(read_csv(path, BadLines(), needs_date=False))
    assert str(refused.value).startswith(f"{path}: {kind}")
    assert str(refused.value).endswith("save as, CSV UTF-8 (comma delimited)")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: cannot be read: No such file"):
        list(read_csv(tmp_path / "none.csv", BadLines(), needs_date=False))


def test_the_message_lists_every_bad_line_in_order_and_holds_no_cell() -> None:
    _, bad = read("email,trigger_date\nanna@example.org,1.4.27\n,2027-03-01\n")
    notes = BadLines()
    for line, column, reason in reversed(bad):
        notes.add(line, column, reason)
    message = str(BadLinesError("targets.csv", notes, "line"))
    assert message.splitlines() == [
        f"targets.csv: line 2: trigger_date: {ACCEPTED_DATE}",
        f"targets.csv: line 3: email: {NO_CONTACT}",
        "targets.csv: 2 lines cannot be taken, and nothing was changed; --skip-bad takes the others",
    ]
    assert "anna" not in message


def test_a_quotation_mark_that_is_never_closed_counts_all_lines_that_it_takes_in() -> None:
    bad = BadLines()
    text = io.StringIO('contact_id,note\n2,"x\n3,x\n4,y\n')
    assert not list(read_targets(text, "targets.csv", bad, needs_date=False))
    assert (list(bad), bad.count()) == ([(2, "", NOT_QUOTED)], 3)


def test_a_long_cell_is_told_with_the_limit_and_the_lines_behind_it_are_read() -> None:
    text = f'contact_id,note\n1,ok\n2,"{"x" * LONGEST_CELL}y"\n3,ok\n'
    lines, bad = read(text)
    assert [line.contact_id for line in lines] == [1, 3]
    assert bad == [(3, "", LONG_CELL)]
    assert f"{LONGEST_CELL:,}" in LONG_CELL


def test_millions_of_lines_behind_a_quotation_mark_are_read_in_little_memory() -> None:
    lines, bad = read('contact_id,note\n1,"x\n' + "2,abc\n" * 100_000 + "x,y\n")
    assert bad == [(2, "", LONG_CELL), (100_003, "contact_id", ACCEPTED_ID)]
    assert 70_000 < len(lines) < 100_000


def test_a_long_line_is_told_with_the_limit_and_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    with path.open("w") as file:
        file.write("contact_id,note\n1,ok\n2,")
        for _ in range(50):
            file.write("x," * 500_000)
        file.write("\n3,ok\n")
    bad = BadLines()
    tracemalloc.start()
    assert [line.contact_id for line in read_csv(path, bad, needs_date=False)] == [1, 3]
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert list(bad) == [(3, "", LONG_LINE)]


def test_a_line_that_never_ends_though_each_of_its_cells_does_is_told() -> None:
    _, bad = read('contact_id,note\n1,"' + '\n","' * 400_000)
    assert bad[0] == (2, "", LONG_LINE)


@pytest.mark.parametrize("count", [1_001, 90_000, 200_000])
def test_too_many_columns_are_refused_at_once(count: int) -> None:
    begin = time.perf_counter()
    with pytest.raises(UsageError, match=r"columns; accepted are up to 1,000|longer than 1,000,000"):
        read(",".join(["contact_id", *(f"c{number}" for number in range(count - 1))]) + "\n1\n")
    assert time.perf_counter() - begin < 5


def test_of_very_many_bad_lines_the_first_ones_are_listed_and_all_are_counted() -> None:
    bad = BadLines()
    tracemalloc.start()
    for number in range(1_000_000, 1, -1):
        bad.add(number, "email", NO_CONTACT)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    bad.add(2, "", CELL_COUNT)
    assert [line for line, _, _ in bad] == [2, *range(2, MOST_LISTED + 1)]
    assert (bad.count(), len(bad)) == (999_999, 1_000_000)
    message = str(BadLinesError("targets.csv", bad, "line")).splitlines()
    assert len(message) == MOST_LISTED + 2
    assert message[-2:] == [
        "targets.csv: and 999,900 more",
        "targets.csv: 999,999 lines cannot be taken, and nothing was changed; --skip-bad takes the others",
    ]


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    os.mkfifo(path)
    for other in (path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="cannot be read: it is no regular file; accepted is one"):
            list(read_csv(other, BadLines(), needs_date=False))
        with pytest.raises(
            ConfigurationError, match="cannot be read: it is no regular file; accepted is one"
        ):
            load_config(other)
