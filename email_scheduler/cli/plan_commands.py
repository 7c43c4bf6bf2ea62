"""``email-scheduler plan``, ``hold`` and ``release``."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from email_scheduler.cli.shared import (
    Answer,
    AsJson,
    AsOf,
    AtBy,
    accepted_loss,
    command,
    err,
    log,
)
from email_scheduler.clock import today
from email_scheduler.database import hold_organization, refuse_future, release_organization
from email_scheduler.planning_run import PlanRun, plan_and_publish, preview_plan
from email_scheduler.registry import STATUSES
from email_scheduler.reports.summary import changes_table, effects_table, plan_summary
from email_scheduler.reports.terminal import Terminal

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody to read.")]


@command
def hold(reason: Reason, at: AtBy) -> Answer:
    """Hold an organisation at once: nothing is due until it is released. Planning goes on."""
    made = hold_organization(at.url, reason, held_by=at.by, config=at.settings)
    line = f"Held by {made.held_by}: nothing is due until email-scheduler release."
    return Answer({"hold": asdict(made)}, [line])


@command
def release(reason: Reason, at: AtBy) -> Answer:
    """Release an organisation that is held."""
    ended = release_organization(at.url, reason, released_by=at.by, config=at.settings)
    since = f"It was held by {ended.held_by} since {ended.held_at[:19]} ({ended.reason})."
    return Answer({"hold": None, "ended": asdict(ended)}, [f"Released. {since}"])


@command
def plan(
    at: AtBy,
    as_of: AsOf = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Plan, prove, and show what would change, by type; write nothing."),
    ] = False,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Publish although a plan for a later date has been published."),
    ] = False,
    allow_future: Annotated[
        bool,
        typer.Option("--allow-future", help="Publish although the date is more than 7 days after today."),
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Publish although the plan loses too much against the last one. Goes with --by and --reason,"
            " which are recorded.",
        ),
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Why the loss is accepted, for everybody to read."),
    ] = None,
    replica: Annotated[
        str | None,
        typer.Option(
            "--replica",
            metavar="URL",
            help="A copy of the database that the plan is made from; it is written to the organisation's"
            " own.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """Plan every email of an organisation, prove the plan, and publish it."""
    accepted = accepted_loss(at.by, reason, is_accepted=accept_loss)
    url, settings, day = at.url, at.settings, as_of or today()
    if not (dry_run or allow_future):
        refuse_future(day, today())
    with progress() as show:
        if dry_run:
            run = preview_plan(url, settings, day, replica=replica, on_phase=show)
        else:
            run = plan_and_publish(
                url,
                settings,
                day,
                replica=replica,
                allow_older=allow_older,
                accept_loss=accepted,
                planned_by=at.by,
                on_phase=show,
                on_progress=lambda done, total: show("write", done, total),
            )
    if as_json:
        for warning in run.warnings:
            log.warning(warning)
    return Answer(as_object(run), _parts(run, is_dry_run=dry_run))


def as_object(run: PlanRun) -> dict[str, Any]:
    """Return what ``plan --json`` prints."""
    valid, rows = len(run.plan.contacts), run.plan.counts.rows.most_frequent("status")
    return {
        "run_id": run.run_id,
        "as_of": run.plan.as_of.isoformat(),
        "contacts": {"valid": valid, "invalid": run.plan.contact_count - valid},
        "rows": rows | {status: 0 for status in STATUSES if status not in rows},
        "changes": run.changes.totals,
        "campaign_changes": _effects(run.effects),
        "seconds": {phase: round(seconds, 3) for phase, seconds in run.seconds.items()},
        "hold": None if run.hold is None else asdict(run.hold),
        "loss": run.loss.document() if run.loss is not None and run.loss.is_too_much else None,
        "accepted_loss": None if run.accepted is None else asdict(run.accepted),
        "notes": run.notes.document(),
    }


def _effects(effects: pd.DataFrame) -> Any:
    plain = effects.astype({"campaign_type": "object", "field_changed": "object"})
    return plain.where(plain.notna(), None).to_dict("records")


def _parts(run: PlanRun, *, is_dry_run: bool) -> Iterator[RenderableType]:
    yield plan_summary(run.plan, run.changes.totals, run.warnings, is_dry_run=is_dry_run)
    if len(run.effects):
        yield effects_table(run.effects)
    if is_dry_run and run.changes.by_type:
        yield changes_table(run.changes.by_type)


@contextmanager
def progress() -> Iterator[Any]:
    """Show on a terminal which phase is running and how far it is; elsewhere the log tells it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeElapsedColumn(),
    )
    is_shown = err.is_terminal
    with ExitStack() as stack:
        # while a step runs, Dagster sends what goes to stderr to a file: the bar has a way of its own
        terminal = stack.enter_context(os.fdopen(os.dup(2), "w")) if is_shown else None
        console = Terminal(file=terminal, stderr=True)
        progress = Progress(*columns, console=console, transient=True, disable=not is_shown)
        progress.start()
        stack.callback(_stop, progress)
        task = progress.add_task("", total=None, count="")

        def show(phase: str, done: int | None = None, total: int | None = None) -> None:
            count = "" if total is None else f"{done:,}/{total:,}"
            progress.update(task, description=phase, completed=done or 0, total=total, count=count)

        yield show


def _stop(progress: Progress) -> None:
    # a terminal that is gone changes nothing of what was done
    with suppress(OSError):
        progress.stop()
