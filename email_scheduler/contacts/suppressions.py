"""Addresses that must not be written to: adding them, taking them away, listing them (section 2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import batched
from pathlib import Path
from typing import Final

import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    ACCEPTED_DATE,
    EMAIL,
    BadLines,
    BadLinesError,
    Connection,
    Dates,
    LineReader,
    Problems,
    connected,
    open_csv,
    read_lines,
    timestamp,
    unescape_cell,
    utc_now,
    write_csv,
)
from email_scheduler.errors import UsageError
from email_scheduler.files import private_output
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
_CREATE_STAGE: Final = (
    f"CREATE TEMPORARY TABLE {_STAGE} (line BIGINT, address TEXT, address_key TEXT, reason TEXT,"
    " suppressed_until TEXT)"
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
_ADDRESS_OF_CONTACT: Final = (
    "contacts AS contact LEFT JOIN contact_address_keys AS known"
    " ON known.contact_id = contact.id AND known.email = contact.email"
)


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
        by_reason: Reason, addresses of lists, addresses of contacts, and how many of both are in force.
        contacts: Contacts that are suppressed themselves.
        without_contact: Of these, those that are in no row of ``contacts``.
    """

    by_reason: list[tuple[str | None, int, int, int]]
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

    def reader_of(heading: list[str]) -> LineReader[tuple[int, str, str | None, str | None]]:
        places = {_HEADINGS[name]: at for at, name in reversed(list(enumerate(heading))) if name in _HEADINGS}
        if EMAIL not in places:
            raise UsageError(
                f"{path}: line 1: no column of addresses; accepted is one of: email, email address, e-mail,"
                " address"
            )
        ignored.extend(name for name in heading if name not in _HEADINGS)
        dates = Dates()

        def read(
            number: int, cells: list[str], problems: Problems
        ) -> tuple[int, str, str | None, str | None]:
            said = {name: unescape_cell(cells[at]).strip() for name, at in places.items()}
            ends = said.get(UNTIL) or last
            if ends is not None and not dates.is_date(ends):
                problems.append((UNTIL, ACCEPTED_DATE))
            return number, said[EMAIL], said.get(REASON) or reason, ends

        return read

    with open_csv(path) as lines, connected(url, config, is_bulky=True) as connection:
        rows = read_lines(lines, str(path), bad_lines, reader_of)
        return _suppress(
            connection, rows, bad_lines, ignored, source=str(path), skip_bad=skip_bad, dry_run=dry_run
        )


def _suppress(
    connection: Connection,
    rows: Iterable[tuple[int, str, str | None, str | None]],
    bad_lines: BadLines,
    ignored: list[str],
    *,
    source: str = "",
    skip_bad: bool = False,
    dry_run: bool = False,
) -> Suppressed:
    with connection.staging():
        connection.execute(_CREATE_STAGE)
        for part in _with_keys(rows, bad_lines):
            connection.append(_STAGE, part)
        connection.execute(f"CREATE INDEX ix_{_STAGE} ON {_STAGE} (address, line)")
    if bad_lines and not skip_bad:
        raise BadLinesError(source, bad_lines, "line")
    ((taken, distinct, first, last),) = connection.execute(
        f"SELECT count(*), count(DISTINCT address), min(line), max(line) FROM {_STAGE}"  # noqa: S608
    )
    ((known,),) = connection.execute(
        f"SELECT count(*) FROM suppressed_addresses WHERE address IN (SELECT address FROM {_STAGE})"  # noqa: S608
    )
    connection.end_reading()
    now = timestamp(utc_now())
    if not dry_run:
        for start in range(first or 0, (last or -1) + 1, _ROWS_AT_A_TIME):
            with connection.transaction():
                connection.execute(_WRITE, (now, start, start + _ROWS_AT_A_TIME - 1))
    return Suppressed(distinct - known, known, taken - distinct, bad_lines, ignored)


def _with_keys(
    rows: Iterable[tuple[int, str, str | None, str | None]], bad_lines: BadLines
) -> Iterator[pa.Table]:
    for part in batched(rows, _ROWS_AT_A_TIME):
        lines, addresses, reasons, ends = zip(*part, strict=True)
        table = pa.table(
            {
                "line": pa.array(lines, pa.int64()),
                "address": pa.array(addresses, pa.large_string()),
                "reason": pa.array(reasons, pa.large_string()),
                "suppressed_until": pa.array(ends, pa.large_string()),
            }
        )
        is_address = are_valid(table["address"].combine_chunks())
        for line, is_one in zip(lines, is_address.to_pylist(), strict=True):
            if not is_one:
                bad_lines.add(line, EMAIL, NOT_AN_ADDRESS)
        table = table.filter(is_address)
        yield table.append_column("address_key", address_keys(table["address"].combine_chunks()))


def unsuppress(url: str, config: SchedulerConfig, address: str, *, dry_run: bool = False) -> Unsuppressed:
    """Take an address off the list in all its spellings, and the suppressions of the contacts that have it.

    Raises:
        UsageError: It is not suppressed.
        DatabaseError: The database cannot be used.
    """
    key = address_key(address)
    with connected(url, config) as connection:
        with connection.transaction(is_dry_run=dry_run):
            rows = connection.execute(
                "SELECT address FROM suppressed_addresses WHERE address_key = ? OR address_key IS NULL", (key,)
            )
            spellings = [str(text) for (text,) in rows if address_key(str(text)) == key]
            people = connection.execute(
                "SELECT suppression.contact_id, contact.email FROM contact_suppressions AS suppression"  # noqa: S608
                f" JOIN {_ADDRESS_OF_CONTACT} ON contact.id = suppression.contact_id"
                if False
                else "SELECT suppression.contact_id, contact.email FROM contact_suppressions AS suppression"
                " JOIN contacts AS contact ON contact.id = suppression.contact_id"
            )
            contacts = sorted(int(one) for one, email in people if address_key(str(email or "")) == key)
            if not spellings and not contacts:
                raise UsageError("--email: this address is not suppressed")
            for contact_id in contacts:
                connection.execute("DELETE FROM contact_suppressions WHERE contact_id = ?", (contact_id,))
            for spelling in spellings:
                connection.execute("DELETE FROM suppressed_addresses WHERE address = ?", (spelling,))
    return Unsuppressed(len(spellings), contacts)
