"""The guard at publishing: a plan that loses too much waits for a person (section 17 of the rules)."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from email_scheduler.clock import new_run_id
from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import connect, database_errors, retrying
from email_scheduler.database.publishing.planned_rows import ReadPlannerRows
from email_scheduler.database.records import (
    LOSES_TOO_MUCH,
    AcceptedLoss,
    Run,
    last_published,
    read_runs,
    record_waiting_plan,
)
from email_scheduler.errors import LossError
from email_scheduler.planning import (
    HISTORY,
    Loss,
    Plan,
    PlanInputs,
    compare,
    judge_loss,
    without_senders_rows,
)


def valid_contacts_before(runs: Sequence[Run]) -> int | None:
    """Return how many contacts were valid in the plan that the table holds; None: no plan was published."""
    last = last_published(runs)
    return None if last is None else last.contacts - last.invalid_contacts


def preview_loss(
    url: str,
    config: SchedulerConfig,
    plan: Plan,
    inputs: PlanInputs,
    existing: ReadPlannerRows,
    changes: pd.DataFrame,
) -> Loss | None:
    """Return what publishing a plan would lose, as far as it is known now.

    It is None where a plan for a later date has been published, so that this one would be refused anyway.

    Args:
        url: The organisation's database.
        config: Its configuration.
        plan: The plan.
        inputs: What it was made from.
        existing: Returns the planned rows there (``EXISTING_ROWS``).
        changes: ``CAMPAIGN_CHANGES``, read with the inputs.

    Raises:
        DatabaseError: The database cannot be read.
    """

    def read() -> list[Run]:
        with connect(url, config) as connection:
            return read_runs(connection)

    with database_errors(url):
        runs = retrying(config)(read)
    last = last_published(runs)
    if last is not None and last.as_of > plan.as_of.isoformat():
        return None
    rows = without_senders_rows(existing(), inputs.history)
    difference = compare(plan.schedules, rows)
    before = valid_contacts_before(runs)
    return judge_loss(plan, inputs, before, rows, difference, HISTORY.empty(), changes, config)


def accept_or_refuse(plan: Plan, loss: Loss, accepted: AcceptedLoss | None) -> AcceptedLoss | None:
    """Return the loss that was accepted; None if it is not too much, so that there is nothing to accept.

    Raises:
        LossError: It is too much, and nobody has accepted it.
    """
    if not loss.is_too_much:
        return None
    if accepted is None:
        raise LossError(refusal_of(plan, loss))
    return replace(accepted, loss=str(loss))


def refusal_of(plan: Plan, loss: Loss) -> str:
    """Return why a plan is not published, and what is to be done."""
    day = plan.as_of.isoformat()
    return (
        f"the plan for {day} {LOSES_TOO_MUCH}, so that nothing was published, the plan before it stays in"
        f" force, and it waits for a person: {loss}. Either mend the data and plan again, or accept the loss:"
        f" email-scheduler plan --as-of {day} --accept-loss --by NAME --reason TEXT (in Dagster: accept_loss"
        " in the run configuration)"
    )


def record_refusal(url: str, config: SchedulerConfig, plan: Plan, loss: Loss) -> str:
    """Record that a plan waits for a person, and return why; for who does not go on to publish it.

    Raises:
        DatabaseError: The database cannot be written.
    """
    why, run_id = refusal_of(plan, loss), new_run_id(plan.as_of)

    def record() -> None:
        with connect(url, config) as connection, connection.transaction():
            record_waiting_plan(
                connection,
                run_id,
                as_of=plan.as_of,
                contacts=plan.contact_count,
                invalid_contacts=plan.contact_count - len(plan.contacts),
                error=why,
            )

    with database_errors(url):
        retrying(config)(record)
    return why
