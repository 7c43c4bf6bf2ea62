"""How long the job of Dagster takes beside the command line: from ``contacts`` to ``email_schedules``.

Run from the root of the project: ``python benchmarks/dagster_at_scale.py --contacts 1000000``. It
uses the sample of ``plan_at_scale.py``, makes the first plan of today on a copy of it with ``email-scheduler
plan``, and on another copy with the job ``plan_emails``, each in a process of its own.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from plan_at_scale import DIRECTORY, MAIN, ROOT, copy_sample, resident_bytes
from rich.console import Console
from rich.table import Table

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.partitions import JOB_NAME, Partition

ORGANIZATION = "bench"
IO_SECONDS = "seconds: IO manager"


@dataclass(frozen=True)
class Measured:
    """One process: seconds from start to end, those of processors with its children, and its most memory."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def the_job() -> dg.JobDefinition:
    """Return the job of the configuration that is measured; Dagster finds it by its name."""
    return build_definitions(Path(os.environ["BENCH_CONFIG"])).resolve_job_def(JOB_NAME)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the job of Dagster beside the command line.")
    parser.add_argument("--contacts", type=int, default=300_000)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        _run_job(arguments.run)
        return
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        home = Path(directory)
        database = home / "organisation.db"
        copy_sample(arguments.contacts, database)
        command = [sys.executable, "-c", MAIN, "plan", "--json", "--database", f"sqlite:///{database}"]
        of_command = _measure(command, {})
        for file in home.glob("organisation.db*"):
            file.unlink()
        copy_sample(arguments.contacts, database)
        _write_configuration(home, database)
        environment = {"BENCH_CONFIG": str(home / "config"), "DAGSTER_HOME": str(home / "dagster")}
        job = [sys.executable, __file__, "--run", Partition(today(), ORGANIZATION).key]
        of_job = _measure(job, environment)
        os.environ.update(environment)
        _print(arguments.contacts, of_command, of_job, home / "frames")


def _write_configuration(home: Path, database: Path) -> None:
    config = home / "config"
    shutil.copytree(ROOT / "config", config)
    scheduler = config / "scheduler.yaml"
    text, count = re.subn(
        r"(?m)^  storage_url: .*$", f"  storage_url: {home / 'frames'}", scheduler.read_text()
    )
    if count != 1:
        sys.exit(f"{scheduler}: {count} lines with orchestration.storage_url; one is expected")
    scheduler.write_text(text)
    organization = f"organizations:\n  {ORGANIZATION}:\n    database: sqlite:///{database}\n"
    (config / "organizations.yaml").write_text(organization)
    (home / "dagster").mkdir()
    shutil.copyfile(ROOT / "config" / "dagster.yaml", home / "dagster" / "dagster.yaml")


def _run_job(partition_key: str) -> None:
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            dg.reconstructable(the_job), instance=instance, tags={"dagster/partition": partition_key}
        )
        sys.exit(not result.success)


def _measure(command: list[str], environment: dict[str, str]) -> Measured:
    with tempfile.TemporaryFile("w+") as log:
        begin, before = time.perf_counter(), os.times()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
        )
        peak_bytes = 0
        while process.poll() is None:
            peak_bytes = max(peak_bytes, resident_bytes(process.pid))
            time.sleep(0.02)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{command} failed with exit code {process.returncode}:\n{log.read()[-5000:]}")
        seconds, after = time.perf_counter() - begin, os.times()
        processor = (
            after.children_user + after.children_system - before.children_user - before.children_system
        )
        return Measured(seconds, processor, peak_bytes)


def _print(contacts: int, command: Measured, job: Measured, frames: Path) -> None:
    table = Table(title=f"{contacts:,} contacts, sqlite, {os.cpu_count()} cores", title_justify="left")
    for column in ("step", "seconds", "writing its value"):
        table.add_column(column, justify="left" if column == "step" else "right")
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        steps = {stats.step_key: stats for stats in instance.get_run_step_stats(run.run_id)}
    writing: dict[str | None, float] = {}
    for event in events:
        if event.event_type_value == "HANDLED_OUTPUT":
            value = event.event_specific_data.metadata.get(IO_SECONDS)  # type: ignore[union-attr]
            writing[event.step_key] = writing.get(event.step_key, 0.0) + float(value.value if value else 0)
    for name, stats in steps.items():
        taken = (stats.end_time or 0) - (stats.start_time or 0)
        table.add_row(name, f"{taken:.1f}", f"{writing.get(name, 0):.1f}")
    table.add_section()
    table.add_row("all", "", f"{sum(writing.values()):.1f}", style="bold", end_section=True)
    for name, each in (("the job, its process included", job), ("email-scheduler plan", command)):
        table.add_row(name, f"{each.seconds:.1f}", "")
    table.add_row("times as long", f"{job.seconds / command.seconds:.2f}", "", end_section=True)
    for name, each in (("the job, processor", job), ("email-scheduler plan, processor", command)):
        table.add_row(name, f"{each.processor_seconds:.1f}", "")
    table.add_row(
        "times as much", f"{job.processor_seconds / command.processor_seconds:.2f}", "", end_section=True
    )
    table.add_row("peak memory of the job, MiB", f"{job.peak_bytes / 2**20:,.0f}", "")
    table.add_row("peak memory of the command, MiB", f"{command.peak_bytes / 2**20:,.0f}", "")
    size = sum(file.stat().st_size for file in frames.rglob("*.parquet"))
    table.add_row("Parquet of the partition, MiB", f"{size / 2**20:,.0f}", "")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
