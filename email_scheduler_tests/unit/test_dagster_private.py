"""Dagster's private names: each is there, as it is used, and imported in one place."""

import ast
import inspect
import pkgutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PLACES = (
    "email_scheduler/orchestration/dagster_private.py",
    "email_scheduler_tests/dagster_private.py",
)

RUNS_THAT_DIED = "the run launcher, which notices runs whose process is gone (orchestration/run_launcher.py)"
OLD_RUNS = "deleting the records of old runs (orchestration/dagster_runs.py)"
TESTS_OF_SENSORS = "the tests of sensors (integration/test_sensors.py, integration/test_upkeep.py)"
TESTS_OF_DAYS = (
    "the tests of many days and of the daemon (faults/test_dagster_days.py, test_dagster_daemon.py)"
)
TESTS_OF_SCHEDULES = "the tests of the schedule (integration/test_dagster_schedule.py)"
TESTS_OF_PROCESSES = "the tests with runs in processes of their own (dagster_project.py)"

# name to the feature that needs it and the parameters that are passed to it; None: it is not called
NAMES: dict[str, tuple[str, set[str] | None]] = {
    "dagster._core.errors:DagsterUserCodeUnreachableError": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:CheckRunHealthResult": (RUNS_THAT_DIED, {"status", "msg"}),
    "dagster._core.launcher:DefaultRunLauncher": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:DefaultRunLauncher.supports_check_run_worker_health": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:DefaultRunLauncher.check_run_worker_health": (RUNS_THAT_DIED, {"run"}),
    "dagster._core.launcher:DefaultRunLauncher._instance": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:DefaultRunLauncher._get_grpc_client_for_termination": (
        RUNS_THAT_DIED,
        {"run_id"},
    ),
    "dagster._core.launcher:WorkerStatus.RUNNING": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:WorkerStatus.FAILED": (RUNS_THAT_DIED, None),
    "dagster._core.launcher:WorkerStatus": (RUNS_THAT_DIED, None),
    "dagster._core.storage.tags:GRPC_INFO_TAG": (RUNS_THAT_DIED, None),
    "dagster._grpc.types:CanCancelExecutionRequest": (RUNS_THAT_DIED, {"run_id"}),
    "dagster._grpc.client:DagsterGrpcClient": (RUNS_THAT_DIED, None),
    "dagster._grpc.client:DagsterGrpcClient.can_cancel_execution": (RUNS_THAT_DIED, {"timeout"}),
    "dagster._core.storage.event_log.sqlite:SqliteEventLogStorage": (OLD_RUNS, None),
    "dagster._core.storage.event_log.sqlite:SqliteEventLogStorage.path_for_shard": (OLD_RUNS, {"run_id"}),
    "dagster._core.code_pointer:FileCodePointer": (TESTS_OF_PROCESSES, None),
    "dagster._core.origin:JobPythonOrigin": (TESTS_OF_PROCESSES, {"job_name", "repository_origin"}),
    "dagster._core.origin:RepositoryPythonOrigin": (TESTS_OF_PROCESSES, {"executable_path", "code_pointer"}),
    "dagster._grpc.types:ExecuteRunArgs": (TESTS_OF_PROCESSES, {"job_origin", "run_id", "instance_ref"}),
    "dagster._serdes:serialize_value": (TESTS_OF_PROCESSES, {"val"}),
    "dagster._core.code_pointer:ModuleCodePointer": (TESTS_OF_SENSORS, None),
    "dagster._core.definitions.sensor_definition:SensorExecutionData": (TESTS_OF_SENSORS, None),
    "dagster._core.remote_origin:RegisteredCodeLocationOrigin": (TESTS_OF_SENSORS, None),
    "dagster._core.remote_origin:RemoteJobOrigin": (TESTS_OF_SENSORS, None),
    "dagster._core.remote_origin:RemoteRepositoryOrigin": (TESTS_OF_SENSORS, None),
    "dagster._core.events:EngineEventData": ("the tests of the run launcher", {"metadata"}),
    "dagster._core.scheduler.instigation:InstigatorTick": (TESTS_OF_DAYS, None),
    "dagster._core.scheduler.instigation:TickStatus": (TESTS_OF_DAYS, None),
    "dagster._core.test_utils:create_test_daemon_workspace_context": (
        TESTS_OF_DAYS,
        {"workspace_load_target", "instance"},
    ),
    "dagster._core.workspace.context:IWorkspaceProcessContext": (TESTS_OF_DAYS, None),
    "dagster._core.workspace.load_target:WorkspaceFileTarget": (TESTS_OF_DAYS, None),
    "dagster._scheduler.scheduler:launch_scheduled_runs": (
        TESTS_OF_DAYS,
        {"workspace_process_context", "logger", "end_datetime_utc"},
    ),
    "dagster._utils.schedules:schedule_execution_time_iterator": (
        TESTS_OF_SCHEDULES,
        {"start_timestamp", "cron_schedule", "execution_timezone"},
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_private_name_is_there_as_it_is_used(name: str) -> None:
    feature, parameters = NAMES[name]
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"this release of Dagster has no {name}, which {feature} needs: {error}")
    if parameters is not None:
        # Dagster's records say their fields in their annotations only
        known = {*inspect.signature(found).parameters, *getattr(found, "__annotations__", {})}
        missing = parameters - known
        assert not missing, f"{name} does not take {sorted(missing)} any more, which {feature} needs"


def test_private_names_are_imported_in_one_place_and_each_is_known() -> None:
    for folder in ("email_scheduler", "email_scheduler_tests", "benchmarks"):
        for file in sorted((REPOSITORY / folder).rglob("*.py")):
            place = file.relative_to(REPOSITORY).as_posix()
            names = private_imports(file)
            if place in PLACES:
                assert names
                assert names <= set(NAMES), f"{place}: say here which feature needs {names - set(NAMES)}"
            else:
                assert not names, f"{place} imports {names}; accepted is an import from one of {PLACES}"


def private_imports(file: Path) -> set[str]:
    """Return the private names of Dagster's packages that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names if is_private(each.name)}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {f"{node.module}:{each.name}" for each in node.names}
            found |= {each for each in names if is_private(each.replace(":", "."))}
    return found


def is_private(name: str) -> bool:
    package, *rest = name.split(".")
    return package.startswith("dagster") and any(part.startswith("_") for part in rest)
