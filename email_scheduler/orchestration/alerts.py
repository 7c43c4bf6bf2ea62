"""The sensor ``alerts``: looks at the runs that ended and at missing plans, and tells somebody."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import DeliveryError, EmailSchedulerError
from email_scheduler.orchestration.decisions import Cursor
from email_scheduler.orchestration.incidents import (
    OVERLAP,
    Ledger,
    begin,
    delivered,
    end,
    forget,
    keys_with,
    missed,
    missed_key,
    notices_for,
    only,
)
from email_scheduler.orchestration.jobs import JOB_NAME
from email_scheduler.orchestration.partitions import first_date
from email_scheduler.orchestration.resources import SchedulerResource
from email_scheduler.orchestration.run_findings import begun_by, ended_by, read_outcome
from email_scheduler.orchestration.run_records import is_of_location

ALERTS_SENSOR: Final = "alerts"
_SECONDS: Final = 30
# A tick has a minute, of which delivering takes its part.
_MOST_SECONDS_LOOKING: Final = 15.0
_MOST_RUNS: Final = 50
_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def build_alerts_sensor(organizations: Sequence[str], config: SchedulerConfig) -> dg.SensorDefinition:
    """Return the sensor, which is on from the start and tells nobody until the section ``alerts`` says whom.

    Args:
        organizations: The names of the organisations.
        config: What counts while the files of the configuration are not accepted.
    """

    @dg.sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells somebody about failed runs, failed checks, missed plans, unhealthy organisations.",
    )
    def alerts(context: dg.SensorEvaluationContext, scheduler: SchedulerResource) -> dg.SensorResult:
        from email_scheduler.monitoring.delivery import channels_of  # noqa: PLC0415

        now = datetime.now(TIME_ZONE)
        try:
            current = scheduler.shared_config()
        except EmailSchedulerError as error:
            context.log.warning("the configuration is not accepted; that of the start counts: %s", error)
            current = config
        channels = channels_of(current.alerts)
        ledger = only(Ledger.read(context.cursor), list(channels))
        if not channels:
            # what happened before somebody is to be told is not told later
            text = ledger.beginning(now).write()
            return dg.SensorResult(skip_reason="the section alerts names nobody to tell", cursor=text)
        ledger = forget(ledger, organizations, now.date(), now)
        ledger = _look_at_runs(context, ledger, current, list(channels), now)
        ledger = _look_at_plans(context, ledger, scheduler, organizations, current, list(channels), now)
        ledger, told = _deliver(context, ledger, channels)
        return dg.SensorResult(skip_reason=told, cursor=ledger.write())

    return alerts


def _look_at_runs(
    context: dg.SensorEvaluationContext,
    ledger: Ledger,
    config: SchedulerConfig,
    channels: Sequence[str],
    now: datetime,
) -> Ledger:
    if not ledger.begins:
        return ledger.beginning(now)
    begins, until = (datetime.fromisoformat(text) for text in (ledger.begins, ledger.runs_until))
    origin = context.code_location_origin
    records = context.instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=max(begins, until - OVERLAP)),
        limit=_MOST_RUNS + len(ledger.run_ids),
        order_by="update_timestamp",
        ascending=True,
    )
    settings = config.alerts
    for record in records:
        run, ended = record.dagster_run, record.update_timestamp.replace(tzinfo=UTC)
        if run.run_id in ledger.run_ids:
            continue
        if is_of_location(run, None if origin is None else origin.location_name):
            outcome = read_outcome(context.instance, run)
            found = begun_by(outcome, include_warnings=settings.include_warnings, ui_url=settings.ui_url)
            ledger = begin(end(ledger, ended_by(outcome, ledger)), found, channels, now)
        ledger = ledger.with_run(run.run_id, ended)
    return ledger


def _look_at_plans(
    context: dg.SensorEvaluationContext,
    ledger: Ledger,
    scheduler: SchedulerResource,
    organizations: Sequence[str],
    config: SchedulerConfig,
    channels: Sequence[str],
    now: datetime,
) -> Ledger:
    from email_scheduler.storage.watch import plan_record  # noqa: PLC0415

    day, deadline = now.date(), config.alerts.plan_deadline
    if day < first_date(config) or f"{now:%H:%M}" < deadline:
        return ledger
    give_up = time.monotonic() + _MOST_SECONDS_LOOKING
    for name in Cursor({}, ledger.last).in_turn(organizations, len(organizations)):
        if ledger.planned.get(name) == day.isoformat():
            continue
        if time.monotonic() > give_up:
            break
        ledger = replace(ledger, last=name)
        try:
            settings = scheduler.organization(name)
            last_date = plan_record(settings.url, settings.config, day).last_date
        except (EmailSchedulerError, OSError) as error:
            # the check of health tells that it cannot be reached
            context.log.info("%s could not be looked at: %s", name, error)
            continue
        ledger = _after_look(ledger, name, last_date, day, deadline, channels, now)
    return ledger


def _after_look(
    ledger: Ledger,
    name: str,
    last_date: date | None,
    day: date,
    deadline: str,
    channels: Sequence[str],
    now: datetime,
) -> Ledger:
    if last_date is None or last_date < day:
        return begin(ledger, [missed(name, day, deadline)], channels, now)
    # a plan of today also ends what failed runs have begun
    over = [missed_key(name, day), *keys_with(ledger, f"run/{JOB_NAME}/{name}/", day.isoformat())]
    ledger = end(ledger, over)
    return replace(ledger, planned={**ledger.planned, name: day.isoformat()})


def _deliver(
    context: dg.SensorEvaluationContext, ledger: Ledger, channels: Mapping[str, Callable[..., None]]
) -> tuple[Ledger, str]:
    said = []
    for channel, deliver in channels.items():
        notices = notices_for(ledger, channel)
        if not notices:
            continue
        try:
            deliver(notices)
        except DeliveryError as error:
            # what was not told is told by the next look
            context.log.warning("%s: %d alerts were not delivered: %s", channel, len(notices), error)
            said.append(f"{channel}: not delivered: {error}")
        else:
            ledger = delivered(ledger, channel)
            said.append(f"{channel}: told {len(notices)}")
    return ledger, "; ".join(said) or "nothing to tell"
