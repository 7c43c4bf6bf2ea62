"""What the tests need of Dagster's private names, in one place: a new release may move any."""

from dagster._core.code_pointer import FileCodePointer, ModuleCodePointer
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc.types import ExecuteRunArgs
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster._serdes import serialize_value
from dagster._utils.schedules import schedule_execution_time_iterator

__all__ = [
    "GRPC_INFO_TAG",
    "EngineEventData",
    "ExecuteRunArgs",
    "FileCodePointer",
    "IWorkspaceProcessContext",
    "InstigatorTick",
    "JobPythonOrigin",
    "ModuleCodePointer",
    "RegisteredCodeLocationOrigin",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RepositoryPythonOrigin",
    "SensorExecutionData",
    "TickStatus",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "create_test_daemon_workspace_context",
    "launch_scheduled_runs",
    "schedule_execution_time_iterator",
    "serialize_value",
]
