"""How long planning takes, from the database to the database, and how long the database alone would take.

Run from the root of the project: ``python benchmarks/plan_at_scale.py --contacts 3000000``. The
sample organisation is generated once: for SQLite it is kept under ``data/bench``, for PostgreSQL
(``--database postgresql+psycopg://USER@HOST/NAME``) in the database NAME_sample_N beside the one that is
measured, NAME, which is dropped and made anew. Each run of the planner is a process of its own. The files are
in the cache of the operating system, since they were copied just before.
"""

import argparse
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "data" / "bench"
PYTHON = [sys.executable]
MAIN = "from email_scheduler.cli import main; main()"
FLOOR = [sys.executable, str(Path(__file__).with_name("database_floor.py"))]
AS_OF = date(2026, 11, 23)
SEED = 1


@dataclass(frozen=True)
class Measurement:
    """One process.

    Attributes:
        name: What was measured.
        result: What it printed, a JSON object.
        seconds: From its start to its end.
        peak_bytes: The most memory that it and the processes that it started had together.
    """

    name: str
    result: dict[str, dict[str, float]]
    seconds: float
    peak_bytes: int

    @property
    def rows(self) -> int:
        """Rows of the plan."""
        return int(sum(self.result["rows"].values()))


@dataclass(frozen=True)
class Place:
    """Where the organisation is while it is measured.

    Attributes:
        url: Its database.
        path: Its file, if it is one.
        largest_wal: The most bytes that were seen in its write-ahead log, by measurement.
    """

    url: str
    path: Path | None
    largest_wal: dict[str, int] = field(default_factory=dict)


def main() -> None:
    arguments = _arguments()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        place = _place(arguments, Path(directory))
        if arguments.years > 1:
            _add_history(place, arguments.years)
        options = []
        if arguments.without_backup:
            config = Path(directory) / "scheduler.yaml"
            config.write_text("audit: {enable_pit_backups: false}\n")
            options = ["--config", str(config)]
        profile = Path(directory) / "profile" if arguments.profile else None
        first = _plan(place, "first plan", AS_OF, profile, *options)
        size = place.path.stat().st_size if place.path else 0
        checksum = _send_what_is_due(place)
        tomorrow = AS_OF + timedelta(days=1)
        dry_run = _plan(place, "dry run", tomorrow, profile, *options, "--dry-run")
        measurements = [first, _plan(place, "next day", tomorrow, profile, *options), dry_run]
        floor = _run("floor", [*FLOOR, place.url, str(Path(directory) / "floor.db")], place)
    _print(arguments.contacts, make_url(place.url).get_backend_name(), measurements, floor, place, size)
    print(f"Checksum of the rows of the first plan: {checksum}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure planning and publishing on the command line.")
    parser.add_argument("--contacts", type=int, default=300_000)
    parser.add_argument("--database", help="a PostgreSQL database to measure in; default: a SQLite file")
    parser.add_argument("--fresh", action="store_true", help="generate the sample anew")
    parser.add_argument("--years", type=int, default=1, help="years of history, of which the sample has one")
    parser.add_argument("--without-backup", action="store_true", help="the next day's plan makes no backup")
    parser.add_argument("--profile", action="store_true", help="show which functions take the time")
    return parser.parse_args()


def _place(arguments: argparse.Namespace, directory: Path) -> Place:
    if arguments.database is None:
        path = directory / "organisation.db"
        copy_sample(arguments.contacts, path, fresh=arguments.fresh)
        return Place(f"sqlite:///{path}", path)
    _copy_on_server(arguments.database, arguments.contacts, fresh=arguments.fresh)
    _command("init-db", "--database", arguments.database)
    return Place(arguments.database, None)


def copy_sample(contacts: int, path: Path, *, fresh: bool = False) -> None:
    """Make a copy of the sample organisation, which is generated the first time, with the present schema."""
    sample = DIRECTORY / f"sample-{contacts}.db"
    if fresh:
        sample.unlink(missing_ok=True)
    if not sample.exists():
        # what an interrupted generation leaves behind must not be taken for the sample
        unfinished = sample.with_suffix(".unfinished.db")
        for leftover in DIRECTORY.glob(f"{unfinished.name}*"):
            leftover.unlink()
        _generate(f"sqlite:///{unfinished}", contacts)
        unfinished.rename(sample)
    shutil.copyfile(sample, path)
    _command("init-db", "--database", f"sqlite:///{path}")


def _copy_on_server(url: str, contacts: int, *, fresh: bool) -> None:
    import psycopg  # noqa: PLC0415 - only for PostgreSQL

    parsed = make_url(url)
    name, sample = str(parsed.database), f"{parsed.database}_sample_{contacts}"
    server = parsed.set(drivername="postgresql", database="postgres")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        if fresh:
            connection.execute(f'DROP DATABASE IF EXISTS "{sample}" WITH (FORCE)')
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (sample,)).fetchone()
        if not found:
            unfinished = f"{sample}_unfinished"
            connection.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{unfinished}"')
            unfinished_url = parsed.set(database=unfinished).render_as_string(hide_password=False)
            _command("init-db", "--database", unfinished_url)
            _generate(unfinished_url, contacts)
            connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{sample}"')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{sample}"')


def _generate(url: str, contacts: int) -> None:
    begin = time.perf_counter()
    options = ["--contacts", str(contacts), "--seed", str(SEED), "--as-of", AS_OF.isoformat()]
    _command("generate", "--database", url, *options)
    print(f"generated {contacts:,} contacts in {time.perf_counter() - begin:.1f} s")


def _command(*arguments: str) -> None:
    subprocess.run(
        [*PYTHON, "-c", MAIN, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )


def _send_what_is_due(place: Place) -> str:
    """Do what the sender does in a day, all at once; return the checksum of the rows that were there."""
    from email_scheduler.config.schema import SchedulerConfig  # noqa: PLC0415
    from email_scheduler.database.connections.opening import connect  # noqa: PLC0415

    with connect(place.url, SchedulerConfig()) as connection, connection.transaction():
        connection.execute(
            "UPDATE email_schedules SET status = 'sent', actual_send_datetime = ?"
            " WHERE status = 'pre-scheduled' AND scheduled_send_date = ?",
            (f"{AS_OF}T09:00:00-06:00", AS_OF.isoformat()),
        )
        ((checksum,),) = connection.execute("SELECT schedules_after_checksum FROM scheduler_checkpoints")
    return str(checksum)


def _add_history(place: Place, years: int) -> None:
    """Put copies of the sender's rows of the sample behind it, each a year older than the one before."""
    from email_scheduler.config.schema import SchedulerConfig  # noqa: PLC0415
    from email_scheduler.database.connections.opening import connect  # noqa: PLC0415
    from email_scheduler.database.tables import SENDER_ROW_SQL, email_schedules  # noqa: PLC0415

    begin = time.perf_counter()
    with connect(place.url, SchedulerConfig()) as connection, connection.transaction():
        ((greatest,),) = connection.execute("SELECT max(id) FROM email_schedules")
        for years_ago in range(years - 1, 0, -1):
            earlier = {
                "scheduled_send_date": _earlier("scheduled_send_date", years_ago, place),
                "actual_send_datetime": "NULL",
                "event_year": f"event_year - {years_ago}",
                "initial_email_id": "NULL",
                "ideal_send_date": "NULL",
            }
            names = [column.name for column in email_schedules.columns if column.name != "id"]
            connection.execute(
                f"INSERT INTO email_schedules ({', '.join(names)})"  # noqa: S608
                f" SELECT {', '.join(earlier.get(name, name) for name in names)} FROM email_schedules"
                f" WHERE {SENDER_ROW_SQL} AND id <= {greatest} ORDER BY scheduled_send_date"
            )
    print(f"added {years - 1} years of history in {time.perf_counter() - begin:.1f} s")


def _earlier(column: str, years: int, place: Place) -> str:
    if place.path:
        return f"date({column}, '-{years} years')"
    return f"CAST({column} - INTERVAL '{years} years' AS DATE)"


def _plan(place: Place, name: str, as_of: date, profile: Path | None, *options: str) -> Measurement:
    how = (
        ["-c", MAIN]
        if profile is None
        else ["-m", "cProfile", "-o", str(profile), "-m", "email_scheduler.cli"]
    )
    command = [*PYTHON, *how, "plan", "--json", "--database", place.url, "--as-of", as_of.isoformat()]
    measurement = _run(name, [*command, *options], place)
    if profile is not None:
        print(f"{name}: functions by their own time")
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(25)
    return measurement


def _run(name: str, command: Sequence[str], place: Place) -> Measurement:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=log)
        peak_bytes = 0
        while process.poll() is None:
            peak_bytes = max(peak_bytes, resident_bytes(process.pid))
            wal = Path(f"{place.path}-wal")
            if place.path and wal.exists():
                place.largest_wal[name] = max(place.largest_wal.get(name, 0), wal.stat().st_size)
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        output.seek(0)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{name} failed with exit code {process.returncode}:\n{log.read()}")
        return Measurement(name, json.load(output), seconds, peak_bytes)


def resident_bytes(process_id: int) -> int:
    """Return the memory of a process and its descendants now, as Linux tells it; 0 elsewhere."""
    status = Path(f"/proc/{process_id}")
    try:
        pages = int((status / "statm").read_text().split()[1])
        children = [
            child for task in (status / "task").iterdir() for child in (task / "children").read_text().split()
        ]
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident_bytes(int(child)) for child in children)


def _print(
    contacts: int,
    backend: str,
    measurements: Sequence[Measurement],
    floor: Measurement,
    place: Place,
    size: int,
) -> None:
    title = f"{contacts:,} contacts, {backend}, {os.cpu_count()} cores"
    table = Table(title=title, title_justify="left")
    table.add_column("seconds")
    for each in measurements:
        table.add_column(each.name, justify="right")
    phases = dict.fromkeys(phase for each in measurements for phase in each.result["seconds"])
    for phase in phases:
        seconds = [each.result["seconds"].get(phase) for each in measurements]
        table.add_row(phase, *("" if value is None else f"{value:.2f}" for value in seconds))
    in_phases = [sum(each.result["seconds"].values()) for each in measurements]
    start_up = [each.seconds - phase for each, phase in zip(measurements, in_phases, strict=True)]
    table.add_row("start and end of the process", *(f"{value:.2f}" for value in start_up), end_section=True)
    table.add_row("all", *(f"{each.seconds:.2f}" for each in measurements), style="bold", end_section=True)
    limits = floor.result["seconds"]
    read, existing = limits["read inputs"], limits["read planned rows"]
    write = limits["write rows"] + limits["build indexes"]
    floors = [read + write, read + existing, read + existing]
    table.add_row("the database alone", *(f"{value:.2f}" for value in floors))
    ratios = [each.seconds / value for each, value in zip(measurements, floors, strict=True)]
    table.add_row("times as long", *(f"{value:.2f}" for value in ratios), end_section=True)
    table.add_row("rows of the plan", *(f"{each.rows:,}" for each in measurements))
    for change in ("added", "changed", "removed"):
        table.add_row(
            f"rows {change}", *(f"{int(each.result['changes'][change]):,}" for each in measurements)
        )
    table.add_row("rows a second", *(f"{each.rows / each.seconds:,.0f}" for each in measurements))
    table.add_row("contacts a second", *(f"{contacts / each.seconds:,.0f}" for each in measurements))
    table.add_row("peak memory, MiB", *(f"{each.peak_bytes / 2**20:,.0f}" for each in measurements))
    if place.path:
        wals = [place.largest_wal.get(each.name, 0) / 2**20 for each in measurements]
        table.add_row("largest write-ahead log, MiB", *(f"{value:,.0f}" for value in wals))
    Console(width=110).print(table)
    print("The database alone: " + ", ".join(f"{name} {value:.1f} s" for name, value in limits.items()))
    if size:
        print(f"Size of the file after the first plan: {size / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
