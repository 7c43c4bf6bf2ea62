"""What it costs a load of contacts that edited ones are noted (section 16 of the planning rules).

Run from the root of the project: ``python benchmarks/load_contacts.py --contacts 3000000``. Contacts are
loaded again by an upsert into a database that watches them and into one that does not, first as they are and
then with another ZIP each. ``--database postgresql+psycopg://USER@HOST/NAME`` measures a PostgreSQL database,
whose tables are dropped before.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import initialise_database

Execute = Callable[[str], list[tuple[int]]]
_CONTACTS = {
    "sqlite": "WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < {count})",
    "postgresql": "WITH ids AS (SELECT generate_series(1, {count}) AS id)",
}
_FIRST = (
    "INSERT INTO contacts (id, email, zip_code, birth_date)"
    " {contacts} SELECT id, 'person' || id || '@example.com', '75001', '1950-03-10' FROM ids"
)
_LOAD = (
    "INSERT INTO contacts (id, email, zip_code, birth_date)"
    " SELECT id, email, {zip_code}, birth_date FROM incoming WHERE TRUE"
    " ON CONFLICT (id) DO UPDATE SET email = excluded.email, zip_code = excluded.zip_code,"
    " birth_date = excluded.birth_date"
)


def measure(execute: Execute, count: int, dialect: str) -> dict[str, float]:
    """Return the seconds that each load takes, and how many contacts were noted after each."""
    execute(_FIRST.format(contacts=_CONTACTS[dialect].format(count=count)))
    execute("CREATE TABLE incoming AS SELECT id, email, zip_code, birth_date FROM contacts")
    found: dict[str, float] = {}
    for name, zip_code in (("unchanged", "zip_code"), ("changed", "'90210'")):
        start = time.perf_counter()
        execute(_LOAD.format(zip_code=zip_code))
        found[name] = time.perf_counter() - start
        ((noted,),) = execute("SELECT count(*) FROM contact_changes")
        found[f"noted of {name}"] = noted
    execute("DROP TABLE incoming")
    return found


def on_sqlite(count: int, *, is_watched: bool) -> dict[str, float]:
    """Measure a SQLite database."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "org.db"
        initialise_database(f"sqlite:///{path}", _config(is_watched=is_watched))
        with closing(sqlite3.connect(path)) as connection:

            def execute(statement: str) -> list[tuple[int]]:
                rows = connection.execute(statement).fetchall()
                connection.commit()
                return rows

            return measure(execute, count, "sqlite")


def on_postgresql(url: str, count: int, *, is_watched: bool) -> dict[str, float]:
    """Measure a PostgreSQL database."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        initialise_database(url, _config(is_watched=is_watched))

        def execute(statement: str) -> list[tuple[int]]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        return measure(execute, count, "postgresql")


def _config(*, is_watched: bool) -> SchedulerConfig:
    return SchedulerConfig.model_validate({"features": {"watch_contacts": is_watched}})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--contacts", type=int, default=300_000)
    parser.add_argument("--database", help="a PostgreSQL database that may be emptied")
    options = parser.parse_args()
    results = {
        is_watched: on_sqlite(options.contacts, is_watched=is_watched)
        if options.database is None
        else on_postgresql(options.database, options.contacts, is_watched=is_watched)
        for is_watched in (False, True)
    }
    table = Table(title=f"{options.contacts:,} contacts loaded again")
    for heading in ("", "not watched", "watched", "times as long"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in ("unchanged", "changed"):
        before, after = results[False][name], results[True][name]
        table.add_row(f"{name}, seconds", f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}")
        table.add_row("noted", "0", f"{results[True][f'noted of {name}']:,.0f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
