"""Whether the process of a run is still there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.orchestration.demo import INSTANCE_SETTINGS, lasting_instance
from email_scheduler.orchestration.run_launcher import LocalRunLauncher
from email_scheduler_tests.dagster_private import GRPC_INFO_TAG, EngineEventData, WorkerStatus

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with lasting_instance(tmp_path_factory.mktemp("home"), REPOSITORY / INSTANCE_SETTINGS) as found:
        yield found


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def some_job() -> None:
    """Do nothing."""
    nothing()


def health(instance: dg.DagsterInstance, pid: int | None, **server: object) -> object:
    """Return what the launcher says of a run that this server has started."""
    tags = {GRPC_INFO_TAG: json.dumps(server)} if server else {}
    run = instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    if pid is not None:
        instance.report_engine_event("Started process", run, EngineEventData.in_process(pid))
    launcher = instance.run_launcher
    assert isinstance(launcher, LocalRunLauncher)
    assert launcher.supports_check_run_worker_health
    return launcher.check_run_worker_health(run).status


@pytest.fixture(scope="module")
def gone() -> int:
    """The process id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_whose_process_and_code_server_are_gone_has_failed(
    instance: dg.DagsterInstance, gone: int, tmp_path: Path
) -> None:
    server = {"host": "localhost", "socket": str(tmp_path / "no_socket")}
    assert health(instance, gone, **server) == WorkerStatus.FAILED


def test_a_run_whose_process_is_there_is_running_whatever_became_of_its_code_server(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    server = {"host": "localhost", "socket": str(tmp_path / "no_socket")}
    assert health(instance, os.getpid(), **server) == WorkerStatus.RUNNING


def test_of_a_run_on_another_machine_or_without_a_process_nothing_is_said(
    instance: dg.DagsterInstance, gone: int, tmp_path: Path
) -> None:
    assert health(instance, gone, host="code-server.example", port=4000) == WorkerStatus.RUNNING
    assert health(instance, gone) == WorkerStatus.RUNNING
    server = {"host": "localhost", "socket": str(tmp_path / "no_socket")}
    assert health(instance, None, **server) == WorkerStatus.RUNNING
