"""Plans that lose too much: who accepts it, and letting everybody know that one waits for a person."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pandas as pd
from pydantic import Field

from email_scheduler.orchestration.asset_frames import BALANCED_SCHEDULES, EMAIL_SCHEDULES
from email_scheduler.orchestration.asset_run import AssetRun
from email_scheduler.orchestration.checks import LOSES_TOO_MUCH_TAG, check_loss
from email_scheduler.planning import Plan, PlanInputs

if TYPE_CHECKING:
    # they take half a second to load, which importing the definitions must not
    from email_scheduler.database import AcceptedLoss

# The assets that may say who accepts a loss.
_ACCEPTING: Final = (BALANCED_SCHEDULES, EMAIL_SCHEDULES)


class Acceptance(dg.Config):
    """Who accepts that a plan loses too much against the last published one, and why."""

    by: str = Field(description="Who accepts it.")
    reason: str = Field(description="Why, for everybody to read.")


class AcceptingConfig(dg.Config):
    """Run configuration of the assets that look at what a plan loses."""

    accept_loss: Acceptance | None = Field(
        default=None,
        description=(
            "Who accepts that the plan loses too much against the last published one, and why: {by: NAME,"
            " reason: TEXT}. It counts for the check and for publishing, and may stand with either."
        ),
    )


@dataclass(frozen=True)
class JudgedLoss:
    """What was found of the loss of a plan.

    Attributes:
        check: The result of the check.
        metadata: Why the plan waits for a person; empty where it does not.
    """

    check: dg.AssetCheckResult
    metadata: dict[str, Any]


def accepted_loss(context: dg.AssetExecutionContext) -> "AcceptedLoss | None":
    """Return who accepts the loss of this run's plan: it may stand with either of the two assets."""
    from email_scheduler.database import AcceptedLoss  # noqa: PLC0415

    ops: Any = context.run.run_config.get("ops", {})
    said = [ops.get(name, {}).get("config", {}).get("accept_loss") for name in _ACCEPTING]
    return next((AcceptedLoss(**each) for each in said if each is not None), None)


def judge_before_publishing(
    context: dg.AssetExecutionContext,
    step: AssetRun,
    plan: Plan,
    inputs: PlanInputs,
    existing: Callable[[], pd.DataFrame],
    changes: pd.DataFrame,
    renew_report: Callable[[date], object],
) -> JudgedLoss:
    """Judge what a plan loses; if it waits for a person, record that, and mark the run.

    Args:
        context: Of the asset.
        step: The same.
        plan: The plan.
        inputs: What it was made from.
        existing: Returns the planned rows of the database (``EXISTING_ROWS``).
        changes: ``CAMPAIGN_CHANGES``, read with the inputs.
        renew_report: Writes the report page of a published plan, by its date.
    """
    from email_scheduler.database import preview_loss, record_refusal  # noqa: PLC0415
    from email_scheduler.health.figures import plan_record  # noqa: PLC0415

    accepted = accepted_loss(context)
    loss = preview_loss(step.url, step.config, plan, inputs, existing, changes)
    if loss is None or not loss.is_too_much or accepted is not None:
        return JudgedLoss(check_loss(loss, "", accepted), {})
    why = record_refusal(step.url, step.config, plan, loss)
    # who starts runs by himself must not start this one again
    context.instance.add_run_tags(context.run.run_id, {LOSES_TOO_MUCH_TAG: step.as_of.isoformat()})
    context.log.error(why)
    in_force = plan_record(step.url, step.config, step.as_of).last_date
    if in_force is not None:
        renew_report(in_force)
    return JudgedLoss(check_loss(loss, why, accepted), {"waits for a person": why})
