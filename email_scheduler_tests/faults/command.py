"""Planners as an operator starts them: by the command, in a process that may be short of disk space."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from email_scheduler_tests.faults.organisation import DAY, Organisation

REPOSITORY = Path(__file__).parents[2]
MAIN = "from email_scheduler.cli import main; main()"


def planner(organisation: Organisation, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what ``subprocess`` takes to plan from the command line."""
    config = organisation.log.with_name("config.json")
    # JSON is YAML
    config.write_text(json.dumps(settings))
    options = ("--database", organisation.database.url, "--as-of", DAY.isoformat(), "--config", str(config))
    return {
        "args": [sys.executable, "-c", MAIN, "plan", *options],
        "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def plan_by_command(
    organisation: Organisation, settings: dict[str, Any], *, largest_file: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Plan from the command line; no file may grow beyond ``largest_file`` bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run(**planner(organisation, settings), preexec_fn=limit, check=False, timeout=120)
