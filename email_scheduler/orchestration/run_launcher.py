"""Dagster's own way to start runs, and a look whether their processes are still there."""

import json
import os
from typing import Final

import dagster as dg

from email_scheduler.orchestration.dagster_private import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    DefaultRunLauncher,
    WorkerStatus,
    is_looked_after,
)

_THIS_MACHINE: Final = {"localhost", "127.0.0.1", "::1"}


class LocalRunLauncher(DefaultRunLauncher):
    """Starts runs as Dagster does, and tells when the process of a run has gone without a word.

    A code server looks after the runs that it has started. When it is gone too (the machine was restarted,
    everything was killed), Dagster would take a run for alive until its time limit, and keep the next one of
    the organisation waiting. Only for code servers on this machine: others' processes are not seen from here.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks this launcher."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell whether the process of a run is there, as far as can be seen from here."""
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        pid = self._process_of(run) if server.get("host") in _THIS_MACHINE else None
        if pid is None or _exists(pid) or self._is_looked_after(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"neither its process {pid} nor the code server that started it is there"
        )

    def _process_of(self, run: dg.DagsterRun) -> int | None:
        for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            metadata = entry.dagster_event.engine_event_data.metadata if entry.dagster_event else {}
            if "pid" in metadata:
                return int(str(metadata["pid"].value))
        return None

    def _is_looked_after(self, run: dg.DagsterRun) -> bool:
        server = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        return server is None or is_looked_after(server, run.run_id)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
