"""A project of its own for each test: two organisations, a lasting instance, and its real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import dagster as dg

from email_scheduler.database.inputs import read_inputs_and_changes
from email_scheduler.database.publishing.planned_rows import differences_from_plan
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.demo import INSTANCE_SETTINGS
from email_scheduler.orchestration.partitions import JOB_NAME, Partition
from email_scheduler.planning.plan import make_plan
from email_scheduler_tests.dagster_private import (
    ExecuteRunArgs,
    FileCodePointer,
    JobPythonOrigin,
    RepositoryPythonOrigin,
    serialize_value,
)
from email_scheduler_tests.integration.dagster_organizations import (
    database,
    generate_organizations,
    settings_of,
    write_configuration,
)

REPOSITORY = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
# As seen on a busy machine with two cores; nothing waits longer than it has to.
PATIENCE_SECONDS = 240


@dataclass
class Project:
    """A project in a directory of its own, and the processes that were started for it."""

    directory: Path
    config: Path
    instance: dg.DagsterInstance
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.config)

    @property
    def log(self) -> Path:
        return self.directory / "processes.log"

    def url(self, organization: str) -> str:
        """Return the database of an organisation, whatever has become of the configuration."""
        return f"sqlite:///{self.directory / organization}.db"

    def create_run(self, organization: str, as_of: date) -> dg.DagsterRun:
        """Put a run of the job on record that a process of its own is to execute."""
        job = self.definitions.resolve_job_def(JOB_NAME)
        pointer = FileCodePointer(str(self.directory / "project.py"), "defs", str(self.directory))
        key = Partition(as_of, organization).key
        return self.instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.STARTING,
            tags=job.get_tags_for_partition_key(key, selected_asset_keys=None),
            job_code_origin=JobPythonOrigin(job.name, RepositoryPythonOrigin(sys.executable, pointer)),
        )

    def start_worker(self, run: dg.DagsterRun) -> "subprocess.Popen[bytes]":
        """Start a run worker, as run launchers do."""
        arguments = ExecuteRunArgs(
            job_origin=run.job_code_origin,
            run_id=run.run_id,
            instance_ref=self.instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        return self.start("dagster", "api", "execute_run", serialize_value(arguments))

    def start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [str(PROGRAMS / program), *arguments],
                cwd=self.directory,
                env={
                    **os.environ,
                    "DAGSTER_HOME": str(self.directory / "home"),
                    "DAGSTER_DISABLE_TELEMETRY": "yes",
                    "PYTHONPATH": str(REPOSITORY),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_daemon(self) -> "subprocess.Popen[bytes]":
        return self.start("dagster-daemon", "run", "-w", "workspace.yaml")

    def kill(self, *, only: str = "") -> int:
        """End all processes of this project, or those whose command line holds ``only``, with SIGKILL."""
        home = f"DAGSTER_HOME={self.directory / 'home'}\0".encode()
        killed = 0
        for process in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                pid = int(process.name)
                is_ours = pid != os.getpid() and home in (process / "environ").read_bytes() + b"\0"
                if is_ours and only.encode() in (process / "cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
        for started in self.processes:
            if not only:
                started.wait(60)
        return killed

    def plan_runs(self) -> list[dg.DagsterRun]:
        """Return the runs that make plans; what looks after health and order may run at the same time."""
        return [run for run in self.instance.get_runs() if "organization" in run.tags]

    def have_ended(self) -> bool:
        """Tell whether no plan is waiting or under way."""
        return all(run.is_finished for run in self.plan_runs())

    def status(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status

    def messages(self, run_id: str) -> str:
        """Return what the log of a run says, errors with all that led to them."""
        found = []
        for entry in self.instance.all_logs(run_id):
            event = entry.dagster_event
            found.append(entry.user_message or (event.message if event else None) or "")
            data = event.event_specific_data if event else None
            failure = getattr(data, "user_failure_data", None)
            found.append(getattr(failure, "description", None) or "")
            error = getattr(data, "error", None)
            if error is not None:
                found.append(error.to_string())
        return "\n".join(filter(None, found))

    def differences(self, organization: str, as_of: date) -> tuple[int, int]:
        """Return how many rows differ from a plan that is made afresh, and how many are as they should be."""
        url, settings = settings_of(self.config, organization)
        inputs, _ = read_inputs_and_changes(url, as_of, settings)
        plan = make_plan(inputs, settings)
        found = differences_from_plan(url, settings, plan, inputs).totals
        return found["added"] + found["changed"] + found["removed"], found["unchanged"]

    def checkpoints(self, organization: str) -> list[tuple[str, str]]:
        """Return status and message of each plan that was begun, in their order."""
        with database(self.url(organization)) as connection:
            return connection.execute(
                "SELECT status, coalesce(error_message, '') FROM scheduler_checkpoints ORDER BY id"
            ).fetchall()


@contextmanager
def project(directory: Path, *, orchestration: str = "", as_of: date | None = None) -> Iterator[Project]:
    """Make a project under a directory; at the end its processes are ended."""
    config = write_configuration(directory, orchestration=orchestration)
    generate_organizations(config, as_of)
    (directory / "project.py").write_text(
        "from pathlib import Path\n"
        "from email_scheduler.definitions import build_definitions\n"
        f"defs = build_definitions(Path({str(config)!r}))\n"
    )
    (directory / "workspace.yaml").write_text("load_from:\n  - python_file: project.py\n")
    home = directory / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / INSTANCE_SETTINGS, home / "dagster.yaml")
    # the storage is made before a daemon starts: two that make it at the same time stumble over each other
    with dg.DagsterInstance.from_config(str(home)) as instance:
        made = Project(directory, config, instance)
        try:
            yield made
        except BaseException as error:
            if made.log.exists():
                error.add_note(f"{made.log.name}:\n{made.log.read_text()[-5000:]}")
            raise
        finally:
            made.kill()


def wait(until: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS) -> float:
    """Wait until something holds; return how many seconds that took."""
    begin = time.monotonic()
    while not until():
        if time.monotonic() > begin + patience:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.1)
    return time.monotonic() - begin
