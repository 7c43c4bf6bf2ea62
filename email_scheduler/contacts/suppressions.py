"""Addresses that must not be written to: adding them, taking them away, listing them (section 2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import Column, MetaData, Table, Text

# ruff: noqa: S608 - put together from names and ids of this package
from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    ACCEPTED_DATE,
    EMAIL,
    ID,
    BadLines,
    BadLinesError,
    Connection,
    Dates,
    LineReader,
    Problems,
    among,
    connected,
    contacts_of_addresses,
    open_csv,
    read_lines,
    require_current_schema,
    suppressions_of_addresses,
    timestamp,
    unescape_cell,
    utc_now,
    write_csv,
)
from email_scheduler.errors import UsageError
from email_scheduler.files import Output, private_output
from email_scheduler.planning import address_key, address_keys, are_valid

REASON: Final = "reason"
UNTIL: Final = "until"
NOT_AN_ADDRESS: Final = "not an address; accepted is one of the form x@y.z"
COLUMNS: Final = ("address", "reason", "suppressed_at", "suppressed_until", "contact_id")
_HEADINGS: Final = {
    EMAIL: EMAIL,
    "email address": EMAIL,
    "e-mail": EMAIL,
    "address": EMAIL,
    REASON: REASON,
    UNTIL: UNTIL,
    "suppressed_until": UNTIL,
}
_STAGE: Final = "planner_suppressed"
_ROWS_AT_A_TIME: Final = 50_000
_stage: Final = Table(
    _STAGE,
    MetaData(),
    Column("line", ID),
    Column("address", Text),
    Column("address_key", Text),
    Column("reason", Text),
    Column("suppressed_until", Text),
    prefixes=["TEMPORARY"],
)
_FIRST: Final = f"line = (SELECT min(first.line) FROM {_STAGE} AS first WHERE first.address = new.address)"
# One that is there already is not weakened: the earlier beginning counts, and the later end.
_WRITE: Final = f"""INSERT INTO suppressed_addresses AS known
    (address, address_key, reason, suppressed_at, suppressed_until)
  SELECT new.address, new.address_key, new.reason, ?, new.suppressed_until
  FROM {_STAGE} AS new WHERE {_FIRST} AND new.line BETWEEN ? AND ?
  ON CONFLICT (address) DO UPDATE SET
    contact_id = NULL,
    address_key = excluded.address_key,
    reason = coalesce(excluded.reason, known.reason),
    suppressed_at = CASE WHEN known.suppressed_at > excluded.suppressed_at THEN excluded.suppressed_at
      ELSE known.suppressed_at END,
    suppressed_until = CASE WHEN known.suppressed_until < excluded.suppressed_until
      THEN excluded.suppressed_until
      WHEN excluded.suppressed_until IS NULL THEN NULL ELSE known.suppressed_until END"""
# Contacts that may have one address; more are nobody's.
_MOST_CONTACTS: Final = 1_000_000


# Number of the line, address, reason, last day.
_Row = tuple[int, str, str | None, str | None]


@dataclass(frozen=True)
class Suppressed:
    """What became of the addresses that were to be suppressed.

    Attributes:
        added: Addresses that were not suppressed.
        known: Addresses that were suppressed already, whose reason and end may have changed.
        repeated: Lines with an address that stands further up.
        bad_lines: Lines that were not taken.
        ignored: Columns of the file that nobody reads.
    """

    added: int
    known: int
    repeated: int
    bad_lines: BadLines
    ignored: list[str]


@dataclass(frozen=True)
class Unsuppressed:
    """What became of an address that is to be written to again.

    Attributes:
        addresses: Spellings of it that were taken off the list.
        contacts: Contacts with the address whose own suppression was deleted.
    """

    addresses: int
    contacts: list[int]


@dataclass(frozen=True)
class Overview:
    """How many addresses and contacts are suppressed.

    Attributes:
        by_reason: Reason, addresses of lists, addresses of contacts.
        contacts: Contacts that are suppressed themselves.
        without_contact: Of these, those that are in no row of ``contacts``.
    """

    by_reason: list[tuple[str | None, int, int]]
    contacts: int
    without_contact: int


def suppress_one(
    url: str, config: SchedulerConfig, address: str, reason: str, until: date | None, *, dry_run: bool = False
) -> Suppressed:
    """Suppress one address, in all its spellings.

    Raises:
        UsageError: It is no address.
        DatabaseError: The database cannot be used.
    """
    if not are_valid(pa.array([address], pa.large_string()))[0].as_py():
        raise UsageError(f"--email: {NOT_AN_ADDRESS}")
    rows = [(1, address.strip(), reason, None if until is None else until.isoformat())]
    require_current_schema(url, config, is_urgent=True)
    with connected(url, config) as connection:
        return _suppress(connection, rows, BadLines(), [], dry_run=dry_run)


def suppress_file(
    url: str,
    config: SchedulerConfig,
    path: Path,
    reason: str | None,
    until: date | None,
    *,
    skip_bad: bool = False,
    dry_run: bool = False,
) -> Suppressed:
    """Suppress the addresses of a CSV file.

    Args:
        url: The organisation's database.
        config: Its configuration.
        path: A file with a column of addresses (email, email address, e-mail or address), and perhaps reason
            and until.
        reason: Of lines that say none.
        until: The last day on which the lines count that say none.
        skip_bad: Take the other lines if some cannot be taken.
        dry_run: Count, and change nothing.

    Raises:
        UsageError: The file cannot be read, or lines cannot be taken.
        DatabaseError: The database cannot be used.
    """
    bad_lines, ignored = BadLines(), list[str]()
    last = None if until is None else until.isoformat()

    def reader_of(heading: list[str], where: str) -> LineReader[_Row]:
        places = {_HEADINGS[name]: at for at, name in reversed(list(enumerate(heading))) if name in _HEADINGS}
        if EMAIL not in places:
            raise UsageError(
                f"{where}: none of the {len(heading)} columns holds addresses; accepted is one that is called"
                " email, email address, e-mail or address"
            )
        ignored.extend(name for name in heading if name not in _HEADINGS)
        dates = Dates()

        def read(number: int, cells: list[str], problems: Problems) -> _Row:
            said = {name: unescape_cell(cells[at]).strip() for name, at in places.items()}
            ends = dates.date_of(said.get(UNTIL, ""))
            if said.get(UNTIL) and ends is None:
                problems.append((UNTIL, ACCEPTED_DATE))
            return number, said[EMAIL], said.get(REASON) or reason, ends or last

        return read

    require_current_schema(url, config, is_urgent=True)
    with open_csv(path) as lines, connected(url, config, is_bulky=True) as connection:
        rows = read_lines(lines, str(path), bad_lines, reader_of)
        return _suppress(
            connection, rows, bad_lines, ignored, source=str(path), skip_bad=skip_bad, dry_run=dry_run
        )


def _suppress(
    connection: Connection,
    rows: Iterable[_Row],
    bad_lines: BadLines,
    ignored: list[str],
    *,
    source: str = "",
    skip_bad: bool = False,
    dry_run: bool = False,
) -> Suppressed:
    with connection.staging():
        connection.create_temporary(_stage)
        for part in _with_keys(rows, bad_lines):
            connection.append_rows(_stage, part)
        connection.execute(f"CREATE INDEX ix_{_STAGE} ON {_STAGE} (address, line)")
    if bad_lines and not skip_bad:
        raise BadLinesError(source, bad_lines, "line")
    ((taken, distinct, first, last),) = connection.execute(
        f"SELECT count(*), count(DISTINCT address), min(line), max(line) FROM {_STAGE}"
    )
    ((known,),) = connection.execute(
        f"SELECT count(*) FROM suppressed_addresses WHERE address IN (SELECT address FROM {_STAGE})"
    )
    connection.end_reading()
    now = timestamp(utc_now())
    if not dry_run:
        for start in range(first or 0, (last or -1) + 1, _ROWS_AT_A_TIME):
            with connection.transaction():
                connection.execute(_WRITE, (now, start, start + _ROWS_AT_A_TIME - 1))
    return Suppressed(distinct - known, known, taken - distinct, bad_lines, ignored)


def _with_keys(rows: Iterable[_Row], bad_lines: BadLines) -> Iterator[list[dict[str, Any]]]:
    rest = iter(rows)
    while part := list(islice(rest, _ROWS_AT_A_TIME)):
        lines, addresses, reasons, ends = zip(*part, strict=True)
        texts = pa.array(addresses, pa.large_string())
        columns = (lines, addresses, address_keys(texts).to_pylist(), reasons, ends)
        good = []
        for cells, is_address in zip(zip(*columns, strict=True), are_valid(texts).to_pylist(), strict=True):
            if is_address:
                good.append(dict(zip(_stage.columns.keys(), cells, strict=True)))
            else:
                bad_lines.add(cells[0], EMAIL, NOT_AN_ADDRESS)
        yield good


def unsuppress(url: str, config: SchedulerConfig, address: str, *, dry_run: bool = False) -> Unsuppressed:
    """Take an address off the list in all its spellings, and the suppressions of the contacts that have it.

    Raises:
        UsageError: It is not suppressed.
        DatabaseError: The database cannot be used.
    """
    require_current_schema(url, config)
    with connected(url, config) as connection, connection.transaction(is_dry_run=dry_run):
        spellings = [row["address"] for row in suppressions_of_addresses(connection, [address])]
        having_it = contacts_of_addresses(connection, [address], _MOST_CONTACTS)[address_key(address)]
        suppressed = connection.execute(
            f"SELECT contact_id FROM contact_suppressions WHERE {among('contact_id', having_it)}"
        )
        contacts = sorted(int(contact_id) for (contact_id,) in suppressed)
        if not spellings and not contacts:
            raise UsageError("--email: this address is not suppressed")
        connection.execute(f"DELETE FROM contact_suppressions WHERE {among('contact_id', contacts)}")
        for spelling in spellings:
            connection.execute("DELETE FROM suppressed_addresses WHERE address = ?", (spelling,))
    return Unsuppressed(len(spellings), contacts)


def overview(url: str, config: SchedulerConfig) -> Overview:
    """Count what is suppressed.

    Raises:
        DatabaseError: The database cannot be read.
    """
    require_current_schema(url, config)
    with connected(url, config) as connection:
        rows = connection.execute(
            "SELECT reason, sum(CASE WHEN contact_id IS NULL THEN 1 ELSE 0 END),"
            " sum(CASE WHEN contact_id IS NULL THEN 0 ELSE 1 END)"
            " FROM suppressed_addresses GROUP BY reason ORDER BY 2 DESC, 3 DESC, 1"
        )
        ((contacts, without_contact),) = connection.execute(
            "SELECT count(*), count(CASE WHEN contact.id IS NULL THEN 1 END)"
            " FROM contact_suppressions AS suppression"
            " LEFT JOIN contacts AS contact ON contact.id = suppression.contact_id"
        )
    by_reason = [(None if name is None else str(name), int(listed), int(own)) for name, listed, own in rows]
    return Overview(by_reason, int(contacts), int(without_contact))


def write_suppressed(url: str, config: SchedulerConfig, output: Output) -> int:
    """Write all suppressed addresses to a CSV file that is its owner's alone, and return how many.

    Raises:
        UsageError: The file cannot be written.
        DatabaseError: The database cannot be read.
    """
    query = f"SELECT {', '.join(COLUMNS)} FROM suppressed_addresses ORDER BY address"
    with connected(url, config) as connection, private_output(output) as file:
        return write_csv(file, COLUMNS, connection.execute(query))
