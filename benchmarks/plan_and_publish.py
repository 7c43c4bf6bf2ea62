"""How long one organisation takes on the command line: reading, planning, proving, publishing.

Run from the root of the project: ``.venv/bin/python benchmarks/plan_and_publish.py --contacts 100000``. The
sample organisation is generated once and kept under ``data/bench``; what is measured works on a copy of it,
each run in a fresh process. The operating system has the file in its cache, since it was copied just before.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "data" / "bench"
COMMAND = [sys.executable, "-c", "from email_scheduler.cli import main; main()"]
AS_OF = date(2026, 11, 23)
SEED = 1


@dataclass(frozen=True)
class Measurement:
    """One run of the command.

    Attributes:
        name: What was measured.
        result: What ``plan --json`` printed.
        seconds: From the start of the process to its end.
        peak_bytes: The most memory that the process had.
    """

    name: str
    result: dict[str, dict[str, float]]
    seconds: float
    peak_bytes: int

    @property
    def rows(self) -> int:
        """Rows of the plan."""
        return int(sum(self.result["rows"].values()))


def main() -> None:
    arguments = _arguments()
    database = DIRECTORY / f"sample-{arguments.contacts}.db"
    if arguments.fresh:
        database.unlink(missing_ok=True)
    if not database.exists():
        _generate(database, arguments.contacts)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        copy = Path(directory) / "organisation.db"
        shutil.copyfile(database, copy)
        measurements = [
            _measure("first plan", copy),
            _measure("planned again", copy),
            _measure("dry run", copy, "--dry-run"),
        ]
    _print(arguments.contacts, measurements)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure planning and publishing on the command line.")
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--fresh", action="store_true", help="generate the sample anew")
    return parser.parse_args()


def _generate(database: Path, contacts: int) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    # what an interrupted generation leaves behind must not be taken for the sample
    unfinished = database.with_suffix(".unfinished.db")
    for leftover in DIRECTORY.glob(f"{unfinished.name}*"):
        leftover.unlink()
    options = ["--contacts", str(contacts), "--seed", str(SEED), "--as-of", AS_OF.isoformat()]
    begin = time.perf_counter()
    subprocess.run(
        [*COMMAND, "generate", "--database", f"sqlite:///{unfinished}", *options], cwd=ROOT, check=True
    )
    unfinished.rename(database)
    print(f"generated {contacts:,} contacts in {time.perf_counter() - begin:.1f} s")


def _measure(name: str, database: Path, *options: str) -> Measurement:
    command = [
        *COMMAND,
        "plan",
        "--json",
        "--database",
        f"sqlite:///{database}",
        "--as-of",
        AS_OF.isoformat(),
    ]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        begin = time.perf_counter()
        process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=output, stderr=log)
        # wait4 tells the memory of this one child, where getrusage would tell that of the largest so far
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{name} failed with exit code {process.returncode}:\n{log.read()}")
        # kilobytes on Linux, bytes on macOS
        unit = 1 if sys.platform == "darwin" else 1024
        return Measurement(name, json.load(output), seconds, usage.ru_maxrss * unit)


def _print(contacts: int, measurements: Sequence[Measurement]) -> None:
    table = Table(title=f"{contacts:,} contacts, {os.cpu_count()} cores", title_justify="left")
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
    table.add_row("rows of the plan", *(f"{each.rows:,}" for each in measurements))
    for change in ("added", "changed", "removed"):
        table.add_row(
            f"rows {change}", *(f"{int(each.result['changes'][change]):,}" for each in measurements)
        )
    table.add_row("rows a second", *(f"{each.rows / each.seconds:,.0f}" for each in measurements))
    table.add_row("contacts a second", *(f"{contacts / each.seconds:,.0f}" for each in measurements))
    table.add_row("peak memory, MiB", *(f"{each.peak_bytes / 2**20:,.0f}" for each in measurements))
    Console().print(table)


if __name__ == "__main__":
    main()
