"""What the steps of publishing share: one connection, the plan, the planner lock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan
from email_scheduler.storage.engine import AdbcConnection, immediate_transaction, retrying
from email_scheduler.storage.lock import PlannerLock

_T = TypeVar("_T")


@dataclass(frozen=True)
class PublishRun:
    """One plan on its way into one database.

    Attributes:
        connection: Everything goes over this connection (see ``engine``).
        config: What the plan was made with.
        plan: The plan.
        inputs: What it was made from.
        lock: The planner lock of the database, held.
        now: When publishing began, as it is stored.
    """

    connection: AdbcConnection
    config: SchedulerConfig
    plan: Plan
    inputs: PlanInputs
    lock: PlannerLock
    now: str

    @property
    def run_id(self) -> str:
        """The run that publishes."""
        return self.lock.run_id

    def transact(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` in a transaction of its own that nobody who has lost the planner lock gets through.

        While the database is locked this is tried again (``processing.max_retry_attempts``), so that ``work``
        must not remember anything.

        Raises:
            PlannerLockedError: Another planner has taken the lock over; nothing was written.
        """

        def attempt() -> _T:
            with immediate_transaction(self.connection):
                self.lock.renew(self.connection)
                return work()

        return retrying(self.config)(attempt)
