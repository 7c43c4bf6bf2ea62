"""What the sensors look at in an organisation's database: a few numbers, read in a moment."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors
from email_scheduler.storage.runs import last_published, read_runs
from email_scheduler.storage.seen_changes import PENDING_SQL

# Nobody waits for long for a database that does not answer: the next look is not far.
_LONGEST_WAIT_SECONDS: Final = 5


@dataclass(frozen=True)
class PendingChanges:
    """Changes of campaigns that no plan has taken into account.

    Attributes:
        count: How many.
        last_id: The id of the last one.
        last_changed_at: When that was; empty if nobody says.
    """

    count: int
    last_id: int
    last_changed_at: str


@dataclass(frozen=True)
class PlanRecord:
    """What is known of the plans of an organisation.

    Attributes:
        last_date: The latest date that a plan was published for; None: none was.
        has_broken_rules: Whether a plan for the date that was asked about was not published because it broke
            a rule.
    """

    last_date: date | None
    has_broken_rules: bool


def pending_changes(url: str, config: SchedulerConfig) -> PendingChanges | None:
    """Return the changes of campaigns that wait for a plan; None if there are none.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, impatient(config)) as connection:
        ((count, last_id),) = connection.execute(
            f"SELECT count(*), max(id) FROM campaign_change_log WHERE {PENDING_SQL}"  # noqa: S608
        )
        if not count:
            return None
        ((changed_at,),) = connection.execute(
            "SELECT CAST(changed_at AS TEXT) FROM campaign_change_log WHERE id = ?", (last_id,)
        )
    return PendingChanges(int(count), int(last_id), changed_at or "")


def plan_record(url: str, config: SchedulerConfig, as_of: date) -> PlanRecord:
    """Return what is known of the plans of an organisation.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, impatient(config)) as connection:
        runs = read_runs(connection)
    last = last_published(runs)
    return PlanRecord(
        date.fromisoformat(last.as_of) if last is not None and last.as_of else None,
        any(run.has_broken_rules(as_of) for run in runs),
    )


def impatient(config: SchedulerConfig) -> SchedulerConfig:
    """Return the configuration with which a database that does not answer is given up soon."""
    pool = config.database.connection_pool
    seconds = min(pool.connection_timeout, _LONGEST_WAIT_SECONDS)
    database = config.database.model_copy(
        update={"connection_pool": pool.model_copy(update={"connection_timeout": seconds})}
    )
    return config.model_copy(update={"database": database})
