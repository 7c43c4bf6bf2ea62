"""One planner a database at a time: the row of ``planner_lock``.

The holder renews its heartbeat between the steps of its work. A lock whose heartbeat is old, or whose process
is gone, is taken over, and its token goes up (fencing): each transaction of a planner begins with
``PlannerLock.renew``, so that a planner that was suspended and wakes up after that writes nothing.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    Connection,
    announced,
    connect,
    database_errors,
    display_url,
    read_moment,
    retrying,
    timestamp,
    utc_now,
)
from email_scheduler.errors import DatabaseError, EmailSchedulerError, PlannerLockedError

Clock = Callable[[], datetime]

_POLL_SECONDS: Final = 0.5
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannerLock:
    """The lock of one database, held.

    Attributes:
        url: The database.
        config: The organisation's configuration.
        owner: Who holds it: host and process.
        run_id: The run that it is held for.
        token: How often the lock has been taken; the lock is lost once the row holds another.
    """

    url: str
    config: SchedulerConfig
    owner: str
    run_id: str
    token: int
    clock: Clock = field(default=utc_now, repr=False)

    def heartbeat(self) -> None:
        """Say that the holder is alive; to be called between the steps of a long work.

        Raises:
            PlannerLockedError: Another planner has taken the lock over.
        """
        with database_errors(self.url):
            retrying(self.config)(self._heartbeat)

    def renew(self, connection: Connection) -> None:
        """Do the same within a transaction that holds the write lock: while it lasts, nobody can take over.

        Raises:
            PlannerLockedError: Another planner has taken the lock over; roll the transaction back.
        """
        touched = connection.execute(
            "UPDATE planner_lock SET heartbeat_at = ? WHERE id = 1 AND token = ? AND owner = ? RETURNING id",
            (timestamp(self.clock()), self.token, self.owner),
        )
        if not touched:
            raise PlannerLockedError(
                f"run {self.run_id}: another planner has taken over the database {display_url(self.url)}; "
                f"it is {_describe(_read(connection))}. This run writes nothing any more"
            )

    def _heartbeat(self) -> None:
        with connect(self.url, self.config) as connection, connection.transaction():
            self.renew(connection)


@dataclass(frozen=True)
class _Holder:
    """The row of ``planner_lock``; ``owner`` is None while nobody holds the lock."""

    owner: str | None
    run_id: str | None
    token: int
    acquired_at: str | None
    heartbeat_at: str | None


@contextmanager
def planner_lock(
    url: str,
    config: SchedulerConfig,
    run_id: str,
    owner: str | None = None,
    *,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[PlannerLock]:
    """Hold the lock of a database for the block; wait up to ``processing.lock_timeout_seconds`` for it.

    It is taken over from a planner whose heartbeat is older than ``processing.lock_stale_after_seconds``, or
    whose process does not exist any more on this host. At the end it is given back, unless it was lost.

    Args:
        url: The database.
        config: The organisation's configuration.
        run_id: The run that it is held for.
        owner: Who holds it; None for this host and process.
        clock: Tells the time.
        sleep: Waits for some seconds.

    Raises:
        PlannerLockedError: Another planner holds the lock; the message says who, since when.
        DatabaseError: The database cannot be opened or written.
    """
    candidate = PlannerLock(url, config, owner or f"{socket.gethostname()}:{os.getpid()}", run_id, 0, clock)
    with ExitStack() as presence:
        lock = _acquire(candidate, presence, sleep)
        try:
            yield lock
        finally:
            _release(lock)


def refuse_while_planning(url: str, config: SchedulerConfig) -> None:
    """Refuse to go on while a planner works on a database; one that cannot be read has none.

    Raises:
        PlannerLockedError: A planner holds the lock, and nothing says that it is gone.
    """
    try:
        with database_errors(url), connect(url, config, read_only=True) as connection:
            holder = _read(connection)
            if holder is None or holder.owner is None:
                return
            is_gone = connection.is_gone(holder.owner, holder.token)
    except DatabaseError:
        return
    limit = config.processing.lock_stale_after_seconds
    if _reason_to_take_over(holder, utc_now(), limit, is_gone=is_gone) is None:
        raise PlannerLockedError(f"a planner holds the database {display_url(url)}: {_describe(holder)}")


def _acquire(candidate: PlannerLock, presence: ExitStack, sleep: Callable[[float], None]) -> PlannerLock:
    timeout_seconds = candidate.config.processing.lock_timeout_seconds
    give_up_at = time.monotonic() + timeout_seconds
    while True:
        with database_errors(candidate.url):
            lock, holder = retrying(candidate.config)(_try_to_acquire, candidate, presence)
        if lock is not None:
            return lock
        if time.monotonic() >= give_up_at:
            raise PlannerLockedError(
                f"another planner holds the database {display_url(candidate.url)}: {_describe(holder)}; "
                f"waited {timeout_seconds} seconds for it (processing.lock_timeout_seconds)"
            )
        sleep(_POLL_SECONDS)


def _try_to_acquire(candidate: PlannerLock, presence: ExitStack) -> tuple[PlannerLock | None, _Holder | None]:
    with connect(candidate.url, candidate.config) as connection, connection.transaction():
        connection.lock_planner_table()
        holder = _read(connection)
        now = candidate.clock()
        if holder is not None and holder.owner is not None:
            is_gone = connection.is_gone(holder.owner, holder.token)
            limit = candidate.config.processing.lock_stale_after_seconds
            reason = _reason_to_take_over(holder, now, limit, is_gone=is_gone)
            if reason is None:
                return None, holder
            _logger.warning("taking over the planner lock: %s; it was %s", reason, _describe(holder))
        lock = replace(candidate, token=1 if holder is None else holder.token + 1)
        presence.close()
        # before anybody can see the token
        presence.enter_context(announced(lock.url, lock.config, lock.token))
        connection.execute(
            "INSERT INTO planner_lock (id, owner, run_id, token, acquired_at, heartbeat_at) "
            "VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, "
            "run_id = excluded.run_id, token = excluded.token, acquired_at = excluded.acquired_at, "
            "heartbeat_at = excluded.heartbeat_at",
            (lock.owner, lock.run_id, lock.token, timestamp(now), timestamp(now)),
        )
    return lock, holder


def _release(lock: PlannerLock) -> None:
    """Give the lock back if it is still held; a failure is logged, since others can take it over anyway."""
    try:
        with (
            database_errors(lock.url),
            connect(lock.url, lock.config) as connection,
            connection.transaction(),
        ):
            connection.execute(
                "UPDATE planner_lock SET owner = NULL, run_id = NULL, acquired_at = NULL, "
                "heartbeat_at = NULL WHERE id = 1 AND token = ? AND owner = ?",
                (lock.token, lock.owner),
            )
    except EmailSchedulerError as error:
        _logger.warning("run %s: the planner lock could not be given back: %s", lock.run_id, error)


def _read(connection: Connection) -> _Holder | None:
    rows = connection.execute(
        "SELECT owner, run_id, token, acquired_at, heartbeat_at FROM planner_lock WHERE id = 1"
    )
    return _Holder(*rows[0]) if rows else None


def _describe(holder: _Holder | None) -> str:
    if holder is None or holder.owner is None:
        return "held by nobody"
    return (
        f"held by {holder.owner} (run {holder.run_id}) since {holder.acquired_at}, "
        f"last heartbeat {holder.heartbeat_at}"
    )


def _reason_to_take_over(
    holder: _Holder, now: datetime, stale_after_seconds: int, *, is_gone: bool
) -> str | None:
    heartbeat = read_moment(holder.heartbeat_at)
    # a heartbeat from the future comes from a clock that was wrong
    if heartbeat is None or abs(now - heartbeat) > timedelta(seconds=stale_after_seconds):
        return f"no heartbeat for more than {stale_after_seconds} seconds"
    if is_gone:
        return "its process does not exist any more"
    return None
