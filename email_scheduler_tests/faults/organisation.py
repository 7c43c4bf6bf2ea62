"""An organisation whose plan is made again and again while something goes wrong."""

import os
import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.inputs import read_inputs
from email_scheduler.database.publishing.planned_rows import differences_from_plan
from email_scheduler.planning.plan import make_plan
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.databases import Database
from email_scheduler_tests.faults.processes import plan_in_process

DAY = date(2026, 11, 24)
HANDLED = "status NOT IN ('pre-scheduled', 'skipped')"


class Organisation:
    """A sample organisation in a database of either kind.

    Attributes:
        database: Where it is.
        log: What planners were refused for.
    """

    def __init__(self, database: Database, directory: Path, contacts: int = 300) -> None:
        self.database = database
        self.log = directory / "planners.log"
        self.log.touch()
        generate_sample(database.url, contacts, 1, DAY, SchedulerConfig())

    def settings(self, number: int = 0) -> dict[str, Any]:
        """Return a configuration; another number is another plan in most of the rows."""
        return {
            "priorities": {"birthday": 5 + number % 2, "aep": 3 + number % 3},
            "processing": {"batch_size": 10, "retry_delay": 0},
            "logging": {"enable_timing_logs": False},
        }

    def plan(self, settings: Mapping[str, Any]) -> int:
        """Plan ``DAY`` in a process of its own; return its exit code."""
        return plan_in_process(self.database.url, settings, DAY, self.log)

    def differences(self, settings: Mapping[str, Any]) -> dict[str, int]:
        """Return how many rows differ from a plan that is made now, by what would become of them."""
        config = SchedulerConfig.model_validate(dict(settings))
        inputs = read_inputs(self.database.url, DAY, config)
        changes = differences_from_plan(self.database.url, config, make_plan(inputs, config), inputs)
        return {name: count for name, count in changes.totals.items() if name != "unchanged" and count}

    def senders_rows(self) -> list[tuple[Any, ...]]:
        """Return all rows that the sending system has taken, whole."""
        return self.database.query(f"SELECT * FROM email_schedules WHERE {HANDLED} ORDER BY id")

    def assert_planning_again_completes_it(
        self, settings: Mapping[str, Any], sent: list[tuple[Any, ...]]
    ) -> None:
        """Plan once more after something went wrong.

        Args:
            settings: The configuration.
            sent: The sender's rows before it went wrong.
        """
        assert self.senders_rows() == sent
        assert self.plan(settings) == 0, self.log.read_text()
        assert self.differences(settings) == {}
        assert self.open_checkpoints() == 0

    def forget_plan(self) -> None:
        """Take all planned rows away, so that the next plan is a first one."""
        self.database.write("DELETE FROM email_schedules WHERE status IN ('pre-scheduled', 'skipped')")

    def open_checkpoints(self) -> int:
        """Return how many runs are recorded as running."""
        ((count,),) = self.database.query(
            "SELECT count(*) FROM scheduler_checkpoints WHERE status IN ('started', 'in_progress')"
        )
        return int(count)

    def is_sound(self) -> bool:
        """Tell whether the database itself is whole."""
        if self.database.is_postgresql:
            return True
        return self.database.query("PRAGMA integrity_check") == [("ok",)]


def rng() -> random.Random:
    """Return the random numbers of a test; ``EMAIL_SCHEDULER_FAULTS_SEED`` gives others."""
    return random.Random(os.environ.get("EMAIL_SCHEDULER_FAULTS_SEED", "1"))
