"""Rows some of whose cells hold what no program of this project writes, for all columns of all tables."""

import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, Table

from email_scheduler.database.tables import metadata
from email_scheduler_tests.databases import Rows
from email_scheduler_tests.faults.malformed_rows import CAMPAIGN_METADATA, DATES, JSONS
from email_scheduler_tests.hostile_values import STORED

INTEGERS = (0, 1, -1, 7, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
# Only SQLite holds them where another type is declared.
OTHER_TYPES = ("", "x", "1.5", 1.5, float("inf"), b"\xff", b"1", "9" * 30)
# Who holds the lock, and whether the triggers are silent, is nobody's data.
TABLES = {
    table.name: table
    for table in metadata.sorted_tables
    if table.name not in {"planner_lock", "change_context"}
}


def spoilt(rows: Rows, seed: int) -> Rows:
    """Return rows by table, beside which there are spoilt ones; ``seed`` says in which tables, and how."""
    rng = random.Random(seed)
    names = rng.sample(sorted(TABLES), rng.choice([1, 2, 4, len(TABLES)]))
    return {
        name: [*given, *_more(rng, TABLES[name], given)] if name in names else given
        for name, given in rows.items()
    }


def _more(rng: random.Random, table: Table, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return rows beside those that are there, about half of whose cells are spoilt."""
    plain = rows or [{column.name: None for column in table.columns}]
    for number in range(rng.choice([3, 10, 40])):
        row = dict(rng.choice(plain))
        share = rng.choice([0.1, 0.5, 0.9])
        for column in table.columns:
            if column.name == "id":
                row["id"] = 1000 + number
            elif column.primary_key or rng.random() < share:
                row[column.name] = _value(rng, column)
        yield row


def _value(rng: random.Random, column: Column[Any]) -> object:
    if isinstance(column.type, Boolean):
        return rng.choice([True, False, None, 2, "no"])
    if isinstance(column.type, Integer | BigInteger):
        return rng.choice([*range(1, 11), *range(1, 11), None, *INTEGERS, *OTHER_TYPES])
    if isinstance(column.type, JSON):
        return rng.choice([*JSONS, *CAMPAIGN_METADATA, *STORED, None])
    if column.name.endswith(("_at", "_date", "_datetime", "_until", "timestamp")):
        return rng.choice([*DATES, *STORED, None])
    return rng.choice([*STORED, *OTHER_TYPES, None])
