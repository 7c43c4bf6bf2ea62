"""What a small organisation costs: processor time of each command, of the job of Dagster, and its events.

Run from the root of the project: ``python benchmarks/small_organisations.py``. Each command is a process of
its own, in a directory of its own with a copy of ``config/``; told is the median of its processor time, user
and system, with that of all processes that it started. ``--root`` measures another checkout.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DIRECTORY: Final = ROOT / "data" / "bench"
ORGANIZATION: Final = "sample"
DATABASE: Final = "data/sample.db"
COMMAND: Final = (sys.executable, "-c", "from email_scheduler.cli import main; main()")
JOB: Final = """
import sys
import dagster as dg
from email_scheduler.clock import today
from email_scheduler.definitions import defs
from email_scheduler.orchestration.partitions import JOB_NAME, Partition

with dg.DagsterInstance.get() as instance:
    key = Partition(today(), sys.argv[1]).key
    result = defs.resolve_job_def(JOB_NAME).execute_in_process(instance=instance, partition_key=key)
"""
EVENTS: Final = """
import dagster as dg

with dg.DagsterInstance.get() as instance:
    for entry in instance.all_logs(instance.get_runs(limit=1)[0].run_id):
        print(entry.dagster_event.event_type_value if entry.dagster_event else "LOG MESSAGE")
"""


@dataclass(frozen=True)
class Place:
    """A directory with ``config/`` and ``data/`` of an organisation, and the code that is measured."""

    directory: Path
    root: Path

    def run(self, *command: str) -> tuple[float, str]:
        """Return the processor seconds of a command, and what it printed."""
        environment = {
            # a package that is installed is compiled once
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPATH": str(self.root),
            "DAGSTER_HOME": str(self.directory / "data" / "dagster_home"),
        }
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
            before = os.times()
            done = subprocess.run(
                command, cwd=self.directory, env=environment, stdout=output, stderr=log, check=False
            )
            after = os.times()
            for file in (output, log):
                file.seek(0)
            if done.returncode:
                sys.exit(f"{command} failed with exit code {done.returncode}:\n{log.read()[-5000:]}")
            seconds = after.children_user + after.children_system
            return seconds - before.children_user - before.children_system, output.read()

    def restore(self, sample: Path) -> None:
        """Put the organisation back to where it has no plan."""
        for file in (self.directory / "data").glob("sample.db*"):
            file.unlink()
        shutil.copyfile(sample, self.directory / DATABASE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a small organisation costs.")
    parser.add_argument("--contacts", type=int, default=2_000)
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout that is measured")
    arguments = parser.parse_args()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as directory:
        place = Place(Path(directory), arguments.root.resolve())
        shutil.copytree(place.root / "config", place.directory / "config")
        (place.directory / "data" / "dagster_home").mkdir(parents=True)
        shutil.copyfile(
            place.root / "config/dagster.yaml", place.directory / "data/dagster_home/dagster.yaml"
        )
        print(f"{arguments.contacts:,} contacts, sqlite: processor seconds, the median of {arguments.repeat}")
        _measure(place, arguments.contacts, arguments.repeat)


def _measure(place: Place, contacts: int, repeat: int) -> None:
    sample = place.directory / "sample.db"
    options = ("--contacts", str(contacts), "--seed", "1")
    place.run(*COMMAND, "generate", "--database", f"sqlite:///{sample}", *options)
    at = ("--organization", ORGANIZATION)
    first_plans, first_jobs = [], []
    for _ in range(repeat):
        place.restore(sample)
        first_jobs.append(place.run(sys.executable, "-c", JOB, ORGANIZATION)[0])
        place.restore(sample)
        first_plans.append(place.run(*COMMAND, "plan", *at)[0])

    def median(*command: str) -> float:
        return statistics.median(place.run(*command)[0] for _ in range(repeat))

    seconds = {
        "email-scheduler --help": median(*COMMAND, "--help"),
        "plan, the first": statistics.median(first_plans),
        "plan, again on the same day": median(*COMMAND, "plan", *at),
        "explain": median(*COMMAND, "explain", "--contact", "1", *at),
        "the job plan_emails, the first plan": statistics.median(first_jobs),
        "the job plan_emails, again on the same day": median(sys.executable, "-c", JOB, ORGANIZATION),
        "import of email_scheduler.definitions": median(
            sys.executable, "-c", "import email_scheduler.definitions"
        ),
        "email-scheduler demo, the second time": median(*COMMAND, "demo"),
    }
    _, printed = place.run(sys.executable, "-c", EVENTS)
    events = Counter(printed.split("\n")[:-1])
    for name, value in seconds.items():
        print(f"{name:45} {value:8.2f}")
    ratio = seconds["the job plan_emails, again on the same day"] / seconds["plan, again on the same day"]
    print(f"{'the job, times as long as the command':45} {ratio:8.2f}")
    print(f"{'events of the job':45} {events.total():8}")
    for kind, count in events.most_common():
        print(f"    {kind:41} {count:8}")


if __name__ == "__main__":
    main()
