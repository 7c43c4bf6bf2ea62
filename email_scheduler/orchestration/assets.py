"""The assets: each reads its inputs, calls one planning function, and returns frames with metadata.

The charts and the report page of a plan are made beside them; what goes wrong with those stops no plan.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from pydantic import Field

from email_scheduler.clock import new_run_id, today
from email_scheduler.errors import EmailSchedulerError
from email_scheduler.orchestration.asset_frames import (
    ANNIVERSARY_SCHEDULES,
    BALANCED_SCHEDULES,
    CAMPAIGN_SCHEDULES,
    CAMPAIGNS,
    CONTACTS,
    ENGAGEMENT,
    EXCLUSION_WINDOWS,
    FOLLOW_UPS,
    input_values,
    plan_frames,
    plan_of,
)
from email_scheduler.orchestration.asset_run import (
    AssetRun,
    FramesResult,
    PublishResult,
    planning_step,
)
from email_scheduler.orchestration.checks import (
    BREAKS_RULES_TAG,
    breaks_rules,
    broken_rules,
    check_contacts,
    check_notes,
    check_plan,
    check_published,
    rules_in_words,
)
from email_scheduler.orchestration.failures import refusal
from email_scheduler.orchestration.io_managers import FramesIOManager
from email_scheduler.orchestration.metadata import (
    ALTERATIONS,
    change_counts,
    effect_counts,
    email_change_counts,
    emails_in_words,
    hold_metadata,
    issue_counts,
    picture,
    plan_counts,
    row_counts,
    schedule_counts,
    seconds_by_phase,
    stretch_counts,
)
from email_scheduler.orchestration.partitions import SchedulerResource
from email_scheduler.orchestration.waiting_plans import (
    AcceptingConfig,
    accepted_loss,
    judge_before_publishing,
)
from email_scheduler.planning import (
    FiguresOfPlan,
    Plan,
    PlanInputs,
    balance_plan,
    exclusion_stretches,
    figures_of_plan,
    find_notes,
    plan_anniversaries,
    plan_campaigns,
    plan_follow_ups,
    validate_contacts,
)
from email_scheduler.proof import Proved
from email_scheduler.proof.violations import RULES

if TYPE_CHECKING:
    from dagster import DagsterLogManager


def charts(step: AssetRun, log: "DagsterLogManager", plan: Plan, inputs: PlanInputs) -> dict[str, Any]:
    """Draw the charts of a plan.

    Args:
        step: The step that shows them.
        log: Told if they cannot be drawn.
        plan: The plan.
        inputs: What it was made from.
    """

    def draw() -> dict[str, Any]:
        return _pictures(figures_of_plan(plan, inputs, step.config, RULES), step)

    return _or_warning(step, log, "charts", draw)


def report(step: AssetRun, log: "DagsterLogManager", as_of: date) -> dict[str, Any]:
    """Write the report page of a published plan, say where it is, and show its charts.

    Args:
        step: The step that published it, or that looks after its organisation.
        log: Told if the page cannot be written.
        as_of: The date of the plan.
    """
    from email_scheduler.reports.pages import (  # noqa: PLC0415
        page_path,
        page_url,
        write_page,
    )
    from email_scheduler.reports.report import read_report  # noqa: PLC0415
    from email_scheduler.reports.report_page import report_page  # noqa: PLC0415

    def write() -> dict[str, Any]:
        settings, organization = step.config.reporting, step.partition.organization
        path = page_path(settings.directory, organization, as_of)
        found = read_report(step.url, step.config, organization, as_of)
        write_page(path, report_page(found))
        link = (
            dg.MetadataValue.path(path.resolve())
            if settings.url is None
            else dg.MetadataValue.url(page_url(settings.url, organization, as_of))
        )
        return {"report": link, **(_pictures(found.figures, step) if found.figures else {})}

    return _or_warning(step, log, "report", write)


def _pictures(figures: FiguresOfPlan, step: AssetRun) -> dict[str, Any]:
    # drawing takes a second to load, which importing the definitions must not
    from email_scheduler.reports.charts import calendar_pictures  # noqa: PLC0415

    return {each.name: picture(each.png, each.text) for each in calendar_pictures(figures, step.as_of)}


def _or_warning(
    step: AssetRun, log: "DagsterLogManager", what: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return metadata, or why there are none; nothing where reporting is switched off."""
    if not step.config.reporting.enabled:
        return {}
    try:
        return make()
    except Exception as error:
        # the messages of other errors may show anything
        is_ours = isinstance(error, EmailSchedulerError | OSError)
        why = f"not made: {' '.join(str(error).split()) if is_ours else type(error).__name__}"
        log.warning("%s of %s: %s. The plan is not affected.", what, step.partition, why)
        return {what: why}


class ReadConfig(dg.Config):
    """Run configuration of the inputs."""

    read_past_partition: bool = Field(
        default=False,
        description=(
            "Only for a partition whose day is over: read the tables as they are now. What was read on the"
            " day is replaced, so that the plan may come out another."
        ),
    )


class PublishConfig(AcceptingConfig):
    """Run configuration of publishing."""

    allow_older: bool = Field(
        default=False,
        description=(
            "Publish even if a plan for a later date has been published, which this one then replaces. The"
            " next plan of today puts everything right again."
        ),
    )
    allow_future: bool = Field(
        default=False,
        description=(
            "Publish even if the plan is for a date more than 7 days after today. Nothing is due before its"
            " day, and plans of the days before it are refused until one is published with allow_older."
        ),
    )


def organization_tables(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
    config: ReadConfig,
) -> Iterator[FramesResult]:
    """All that a plan depends on, read from the organisation's database at one moment.

    A partition holds what was read on its day. Once the day is over it is not read anew, so that everything
    downstream can be materialised again from it and comes out the same.
    """
    from email_scheduler.database import (  # noqa: PLC0415
        read_inputs_and_changes,
        require_current_schema,
    )

    with planning_step(context, scheduler, io_manager, "read") as step:
        if step.as_of < today() and not config.read_past_partition:
            raise refusal(
                f"the day of partition {step.partition} is over: its inputs are those read that day, and are"
                " not read anew. Materialise what is downstream of them, or today's partition. To read the"
                " tables as they are now all the same: read_past_partition: true in the run configuration"
            )
        require_current_schema(step.url, step.config)
        inputs, changes = read_inputs_and_changes(step.source, step.as_of, step.config)
        read = f"{len(inputs.contacts):,} contacts, {len(inputs.history):,} emails of the sending system"
        step.begin("validate contacts", f"{read}, {len(inputs.campaign_instances):,} campaigns")
        valid, issues = validate_contacts(inputs, step.config)
        values = input_values(inputs, changes, valid, issues)
        step.timer.amount = f"{len(valid):,} of {len(inputs.contacts):,}"
        step.timer.end()
        for asset, frames in values.items():
            is_contacts = asset == CONTACTS
            yield dg.MaterializeResult(
                asset_key=asset,
                value=frames,
                metadata=row_counts(frames)
                | (issue_counts(issues) if is_contacts else {})
                | seconds_by_phase(step.timer.seconds),
                check_results=check_contacts(inputs, frames, step.config) if is_contacts else [],
            )


def exclusion_windows(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
) -> FramesResult:
    """When each contact must not be written to in the 366 days ahead, and why.

    It shows the law at work, state by state. Planning itself asks the same rules about any day;
    balanced_schedules is checked against these stretches.
    """
    with planning_step(context, scheduler, io_manager, "look ahead") as step:
        stretches = exclusion_stretches(step.basis())
        step.timer.amount = f"{len(stretches):,} stretches"
        frames = {"exclusion_stretches": stretches}
        return step.result(frames, row_counts(frames) | stretch_counts(stretches))


def anniversary_schedules(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
) -> FramesResult:
    """The anniversary and post-window emails that are due, and on which days each may go.

    An email that a window stops has its reason here and becomes a skipped row.
    """
    with planning_step(context, scheduler, io_manager, "anniversaries") as step:
        schedules = plan_anniversaries(step.basis())
        step.timer.amount = emails_in_words(schedules)
        frames = {"schedules": schedules}
        return step.result(frames, row_counts(frames) | schedule_counts(schedules))


def campaign_schedules(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
) -> FramesResult:
    """The emails of all active campaigns, with the days on which each may go out.

    What was wrong with a target (no trigger date, an unreadable one) is among its contact issues.
    """
    with planning_step(context, scheduler, io_manager, "campaigns") as step:
        basis = step.basis()
        inputs = step.inputs()
        schedules, issues = plan_campaigns(basis, inputs)
        step.timer.amount = emails_in_words(schedules)
        frames = {"schedules": schedules, "contact_issues": issues}
        return step.result(frames, row_counts(frames) | schedule_counts(schedules) | issue_counts(issues))


def follow_ups(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
) -> FramesResult:
    """What follows the emails that were sent lately: one follow-up a contact, by what the contact did."""
    with planning_step(context, scheduler, io_manager, "follow up") as step:
        basis = step.basis()
        engagement = step.frames(ENGAGEMENT)
        schedules, issues = plan_follow_ups(basis, engagement["clicks"], engagement["answers"])
        step.timer.amount = emails_in_words(schedules)
        frames = {"follow_ups": schedules, "contact_issues": issues}
        return step.result(frames, row_counts(frames) | schedule_counts(schedules) | issue_counts(issues))


def balanced_schedules(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
    config: AcceptingConfig,  # noqa: ARG001 - it is read together with that of publishing
) -> FramesResult:
    """The whole plan, ready to publish: every email with its day, within the cap and each contact's limits.

    It is proved here, rule by rule, by arithmetic that the planner does not share. If one rule is broken,
    nothing is published. Nor is it if the plan loses too much against the last published one, and nobody has
    accepted that.
    """
    from email_scheduler.database import planner_rows_in_background  # noqa: PLC0415

    with (
        planning_step(context, scheduler, io_manager, "put together") as step,
        planner_rows_in_background(step.url, step.config) as existing,
    ):
        inputs, basis = step.inputs(with_engagement=True), step.basis()
        contacts = step.frames(CONTACTS)
        anniversary_schedules, campaign_schedules, follow_ups = (
            step.frames(asset, is_last=True)
            for asset in (ANNIVERSARY_SCHEDULES, CAMPAIGN_SCHEDULES, FOLLOW_UPS)
        )
        stages = [anniversary_schedules["schedules"], campaign_schedules["schedules"]]
        issues = [each["contact_issues"] for each in (contacts, campaign_schedules, follow_ups)]
        plan = balance_plan(
            basis,
            inputs,
            pd.concat(stages, ignore_index=True),
            follow_ups["follow_ups"],
            pd.concat(issues, ignore_index=True),
            on_phase=step.timer.begin,
        )
        step.begin("prove", emails_in_words(plan.schedules))
        stretches = step.frames(EXCLUSION_WINDOWS, is_last=True)["exclusion_stretches"]
        results = check_plan(basis, inputs, plan, stretches)
        is_broken = breaks_rules(results)
        proved = None if is_broken else Proved(inputs, plan.contacts, plan.schedules, step.config)
        io_manager.note_proof(step.partition, proved)
        if is_broken:
            # who starts runs by himself must not start this one again
            context.instance.add_run_tags(
                context.run.run_id, {BREAKS_RULES_TAG: step.partition.as_of.isoformat()}
            )
        step.begin("compare", f"{len(plan.schedules):,} rows, {rules_in_words(results)}")
        judged = judge_before_publishing(
            context,
            step,
            plan,
            inputs,
            existing,
            step.frames(CAMPAIGNS)["campaign_changes"],
            lambda as_of: report(step, context.log, as_of),
        )
        step.begin("draw", "it loses too much" if judged.metadata else "it may be published")
        frames = plan_frames(plan, step.config)
        metadata = {
            **row_counts(frames),
            **plan_counts(plan.counts),
            "daily cap": plan.daily_cap,
            **broken_rules(results),
            **judged.metadata,
            **charts(step, context.log, plan, inputs),
        }
        results += [judged.check, *check_notes(find_notes(plan, inputs))]
        return step.result(frames, metadata, results)


def email_schedules(
    context: dg.AssetExecutionContext,
    scheduler: SchedulerResource,
    io_manager: dg.ResourceParam[FramesIOManager],
    config: PublishConfig,
) -> PublishResult:
    """The published plan: the planned rows of the table email_schedules, from which the sending system takes.

    Only what differs is written. A plan is proved before the table is touched, unless balanced_schedules has
    proved these very frames in the same run. A plan that is older than the published one, or for a date more
    than 7 days after today, is refused, and so is one that loses too much as long as nobody has accepted
    that.
    """
    from email_scheduler.database import (  # noqa: PLC0415
        SeenChanges,
        backup_before_publishing,
        current_hold,
        differences_from_plan,
        planner_lock,
        planner_rows_in_background,
        publish_plan,
        refuse_future,
    )

    with planning_step(context, scheduler, io_manager, "wait for the planner lock") as step:
        if not config.allow_future:
            refuse_future(step.as_of, today())
        inputs = step.inputs(with_engagement=True)
        contacts, campaigns = step.frames(CONTACTS), step.frames(CAMPAIGNS)
        balanced_schedules = step.frames(BALANCED_SCHEDULES, is_last=True)
        plan = plan_of(step.as_of, contacts, balanced_schedules)
        if balanced_schedules["plan_figures"]["rules_hash"].iloc[0] != step.config.rules_hash():
            raise refusal(
                f"the configuration has changed since balanced_schedules of {step.partition} was made;"
                " materialise it, and what it is made from, again"
            )
        with (
            planner_lock(step.url, step.config, new_run_id(step.as_of)) as lock,
            backup_before_publishing(step.url, step.config) as finish_backup,
            planner_rows_in_background(step.url, step.config) as existing,
        ):
            result = publish_plan(
                step.url,
                step.config,
                plan,
                inputs,
                lock,
                existing,
                changes=SeenChanges(
                    campaigns["campaign_changes"],
                    contacts["contact_changes"],
                    int(contacts["reading"]["checkpoint_id"].iloc[0]),
                ),
                finish_backup=finish_backup,
                allow_older=config.allow_older,
                accept_loss=accepted_loss(context),
                planned_by=f"dagster run {context.run.run_id}",
                proved=io_manager.proof(step.partition),
                on_phase=step.timer.begin,
            )
        changes = result.schedules.changes
        done = ", ".join(f"{count:,} {name}" for name, count in changes.totals.items())
        step.begin("read again", f"{done}; run {result.run_id}")
        differences = differences_from_plan(step.url, step.config, plan, inputs)
        hold = current_hold(step.url, step.config)
        wrong = sum(differences.totals[name] for name in ALTERATIONS)
        step.begin("report", f"{wrong:,} rows are not as planned" if wrong else "it is the plan")
        link = report(step, context.log, step.as_of)
        step.timer.end()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(plan.schedules),
                "planner run": result.run_id,
                "backup": result.backup.name if result.backup else "none made",
                **link,
                **hold_metadata(hold),
                **({} if result.accepted is None else {"accepted loss": str(result.accepted)}),
                **plan_counts(plan.counts),
                **email_change_counts(changes.emails.totals, changes.emails.document()),
                **change_counts(changes.totals, changes.by_type),
                **effect_counts(result.effects),
                **seconds_by_phase(step.timer.seconds),
            },
            check_results=check_published(plan, differences),
        )
