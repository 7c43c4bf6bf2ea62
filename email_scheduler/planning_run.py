"""One run of the planner from the command line: read, plan, prove, publish or show what would change."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from email_scheduler.clock import PhaseTimer, new_run_id, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.cutover.rate_increases import OLDER_TYPE
from email_scheduler.database import (
    AcceptedLoss,
    Hold,
    PlanChanges,
    backup_before_publishing,
    current_hold,
    planner_lock,
    planner_rows_in_background,
    preview_changes,
    preview_effects,
    preview_loss,
    publish_plan,
    read_inputs_and_changes,
    refusal_of,
    refuse_violations,
    require_current_schema,
    retrying,
)
from email_scheduler.planning import DataNotes, FoundNote, Loss, find_notes
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.reports.summary import capacity_warnings

_MIGRATION = "email-scheduler migrate-rate-increases --database URL"


@dataclass(frozen=True)
class PlanRun:
    """What a run made.

    Attributes:
        run_id: Identifies the run in ``scheduler_checkpoints`` and in the rows that it wrote.
        plan: The plan.
        changes: The rows added, changed, removed and unchanged; of a dry run: those that there would be.
        seconds: Seconds by phase.
        warnings: What the operator should look at, a sentence each.
        effects: What each change of campaigns that the plan has taken into account led to, or would lead to
            (``CHANGE_EFFECTS``).
        notes: What somebody should look at in the data; they are among the warnings.
        hold: Why nothing of the organisation is due; None: it is not held.
        loss: What would be lost, of a dry run; None: as for ``preview_loss``.
        accepted: What is lost, and who has accepted it; None: it was not too much, or this is a dry run.
    """

    run_id: str
    plan: Plan
    changes: PlanChanges
    seconds: dict[str, float]
    warnings: list[str]
    effects: pd.DataFrame
    notes: DataNotes
    hold: Hold | None = None
    loss: Loss | None = None
    accepted: AcceptedLoss | None = None


def plan_and_publish(
    url: str,
    config: SchedulerConfig,
    as_of: date,
    *,
    replica: str | None = None,
    allow_older: bool = False,
    accept_loss: AcceptedLoss | None = None,
    planned_by: str | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PlanRun:
    """Read an organisation's database, plan, prove the plan and publish it.

    Args:
        url: The organisation's database.
        config: Its configuration.
        as_of: The date to plan for.
        replica: A copy of the database that is read instead, as far as planning goes.
        allow_older: Publish even if a plan for a later date has been published.
        accept_loss: As for ``publish_plan``.
        planned_by: As for ``publish_plan``.
        on_phase: Told the name of each phase as it begins.
        on_progress: Told how many contacts are written, of how many.

    Raises:
        DatabaseError: The database cannot be used.
        PlanningError: The plan was not made or not published.
        LossError: The plan loses too much, and waits for a person.
    """
    retrying(config)(require_current_schema, url, config)
    timer = _timer(on_phase, config)
    run_id = new_run_id(as_of)
    with planner_lock(url, config, run_id) as lock:

        def begin(phase: str) -> None:
            timer.begin(phase)
            lock.heartbeat()

        begin("back up")
        with (
            backup_before_publishing(url, config) as finish_backup,
            planner_rows_in_background(url, config) as existing,
        ):
            begin("read")
            inputs, seen = read_inputs_and_changes(replica or url, as_of, config)
            timer.amount = _amount(inputs)
            plan = make_plan(inputs, config, on_phase=begin)
            timer.amount = f"{len(plan.schedules):,} rows"
            result = publish_plan(
                url,
                config,
                plan,
                inputs,
                lock,
                existing,
                changes=seen,
                finish_backup=finish_backup,
                allow_older=allow_older,
                accept_loss=accept_loss,
                planned_by=planned_by,
                on_phase=timer.begin,
                on_progress=on_progress,
            )
    timer.end()
    hold, accepted = current_hold(url, config), result.accepted
    return PlanRun(
        run_id,
        plan,
        result.schedules.changes,
        timer.seconds,
        warnings(plan, config, hold, result.notes) + ([] if accepted is None else [str(accepted)]),
        result.effects,
        result.notes,
        hold,
        accepted=accepted,
    )


def preview_plan(
    url: str,
    config: SchedulerConfig,
    as_of: date,
    *,
    replica: str | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
) -> PlanRun:
    """Do what ``plan_and_publish`` does, but write nothing: the changes are those that there would be.

    Raises:
        DatabaseError: The database cannot be used.
        PlanningError: The plan cannot be made, or would not be published.
    """
    retrying(config)(require_current_schema, url, config)
    timer = _timer(on_phase, config)
    with planner_rows_in_background(url, config) as existing:
        timer.begin("read")
        inputs, seen = read_inputs_and_changes(replica or url, as_of, config)
        timer.amount = _amount(inputs)
        plan = make_plan(inputs, config, on_phase=timer.begin)
        timer.amount = f"{len(plan.schedules):,} rows"
        timer.begin("prove")
        refuse_violations(plan, inputs, config)
        timer.begin("compare")
        rows = existing()
        changes = preview_changes(plan, inputs, rows)
        effects = preview_effects(plan, inputs, rows, seen.campaigns)
        loss = preview_loss(url, config, plan, inputs, lambda: rows, seen.campaigns)
        notes = find_notes(plan, inputs)
    timer.end()
    hold = current_hold(url, config)
    found = warnings(plan, config, hold, notes)
    if loss is not None and loss.is_too_much:
        found.append(f"publishing would be refused: {refusal_of(plan, loss)}")
    return PlanRun(new_run_id(as_of), plan, changes, timer.seconds, found, effects, notes, hold, loss)


def warnings(
    plan: Plan, config: SchedulerConfig, hold: Hold | None = None, notes: Iterable[FoundNote] = ()
) -> list[str]:
    """Return what an operator should look at, a sentence each."""
    found = [] if hold is None else [str(hold)]
    if plan.as_of != today():
        ahead = (
            ": where it is published, nothing is due before its day, and plans of today are refused as older"
        )
        is_ahead = plan.as_of > today()
        found.append(f"the plan is for {plan.as_of}, not for today, {today()}{ahead if is_ahead else ''}")
    for email_type, count in plan.foreign_rows.items():
        remedy = f"; {_MIGRATION} turns them into a campaign" if email_type == OLDER_TYPE else ""
        found.append(
            f"{count:,} pre-scheduled rows of the type {email_type} are waiting: they are not planned here,"
            f" so that nobody proves that they may be sent{remedy}"
        )
    years = config.aep_config.years
    if config.aep_config.default_dates and years is not None and max(years, default=0) <= plan.as_of.year:
        found.append(config.aep_config.end)
    found += capacity_warnings(plan.capacity_shortfall, plan.daily_cap)
    return found + [str(note) for note in notes]


def _timer(on_phase: Callable[[str], None], config: SchedulerConfig) -> PhaseTimer:
    if config.logging.enable_timing_logs:
        return PhaseTimer(on_phase)
    return PhaseTimer(on_phase, log=None)


def _amount(inputs: PlanInputs) -> str:
    return f"{len(inputs.contacts):,} contacts, {len(inputs.history):,} rows of history"
