"""Dagster's private names: what the graph needs of them, in one place.

A new release may move or change any of them without a word. A test says which feature each belongs to.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionRequest

if TYPE_CHECKING:
    from dagster._grpc.client import DagsterGrpcClient

__all__ = [
    "GRPC_INFO_TAG",
    "CheckRunHealthResult",
    "DefaultRunLauncher",
    "WorkerStatus",
    "event_file",
    "is_looked_after",
]

_SECONDS_TO_ANSWER = 5


def event_file(instance: dg.DagsterInstance, run_id: str) -> Path | None:
    """Return the SQLite file that holds the events of one run; None: those of all runs are kept together."""
    # it brings SQLAlchemy with it, which importing the definitions must not
    from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage  # noqa: PLC0415

    storage = instance.event_log_storage
    return Path(storage.path_for_shard(run_id)) if isinstance(storage, SqliteEventLogStorage) else None


def is_looked_after(server: "DagsterGrpcClient", run_id: str) -> bool:
    """Tell whether a code server is there: it notices itself how the runs that it has started end."""
    try:
        server.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=_SECONDS_TO_ANSWER)
    except DagsterUserCodeUnreachableError:
        return False
    return True
