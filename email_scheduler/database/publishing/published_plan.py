"""What the steps of publishing share: one connection, the plan, the planner lock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    DRIVER_ERRORS,
    Connection,
    display_url,
    is_unreachable,
    retrying,
)
from email_scheduler.database.lock import PlannerLock
from email_scheduler.errors import DatabaseError
from email_scheduler.planning import Plan, PlanInputs

_T = TypeVar("_T")

# SQLite lets whoever waits for a lock look for it again after a tenth of a second at the latest; it keeps no
# queue. Only who finds a gap of that length at the right time gets its turn for certain.
_GAP_SECONDS: Final = 0.11
_LONGEST_WITHOUT_GAP_SECONDS: Final = 0.5


class Turns:
    """Leaves the database free for a moment, often enough that other writers need not wait for long.

    Args:
        clock: Tells seconds.
        sleep: Waits for some seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._busy_since = self._free_since = clock()

    def begin(self) -> None:
        """Wait until it is this planner's turn; to be called before each transaction."""
        now = self._clock()
        gap = now - self._free_since
        if gap < _GAP_SECONDS:
            if now - self._busy_since < _LONGEST_WITHOUT_GAP_SECONDS:
                return
            self._sleep(_GAP_SECONDS - gap)
        self._busy_since = self._clock()

    def end(self) -> None:
        """Note that the database is free; to be called after each transaction."""
        self._free_since = self._clock()


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
        turns: Whose turn it is to write.
    """

    connection: Connection
    config: SchedulerConfig
    plan: Plan
    inputs: PlanInputs
    lock: PlannerLock
    now: str
    turns: Turns = field(default_factory=Turns)

    @property
    def run_id(self) -> str:
        """The run that publishes."""
        return self.lock.run_id

    def transact(self, work: Callable[[], _T], *, takes_turns: bool = True) -> _T:
        """Do ``work`` in a transaction of its own that nobody who has lost the planner lock gets through.

        While the database is locked or away this is tried again (``processing.max_retry_attempts``), so that
        ``work`` must not remember anything. If the connection breaks while the transaction is committed,
        nobody knows whether it was: the run fails, and planning again completes it.

        Args:
            work: What to do.
            takes_turns: Leave others a moment between transactions (``Turns``).

        Raises:
            PlannerLockedError: Another planner has taken the lock over; nothing was written.
            DatabaseError: The connection broke while the transaction was committed.
        """

        def attempt() -> _T:
            if takes_turns:
                self.turns.begin()
            is_done = False
            try:
                with self.connection.transaction():
                    self.lock.renew(self.connection)
                    result = work()
                    is_done = True
            except DRIVER_ERRORS as error:
                if is_done and is_unreachable(error):
                    raise DatabaseError(
                        f"database {display_url(self.lock.url)}: the connection broke while a batch was"
                        " committed, so that it is not known whether it was written; plan again"
                    ) from None
                raise
            else:
                return result
            finally:
                self.turns.end()

        return retrying(self.config)(attempt)
