"""The sensor ``alerts``: looks at the runs that ended and at missing plans, and tells somebody.

What a run that has ended says about incidents is its failure, and the results of its checks.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final

import dagster as dg

from email_scheduler import errors
from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import SchedulerConfig
from email_scheduler.errors import DeliveryError, EmailSchedulerError
from email_scheduler.health.incidents import (
    OVERLAP,
    Incident,
    IncidentLedger,
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
from email_scheduler.orchestration.checks import CHECKS, FOUND, LOSES_TOO_MUCH
from email_scheduler.orchestration.dagster_runs import is_of_location
from email_scheduler.orchestration.maintenance import ALL_HEALTHY, UNHEALTHY, UPKEEP_CHECKS
from email_scheduler.orchestration.partitions import (
    DATE_PARTITION_TAG,
    JOB_NAME,
    ORGANIZATION_PARTITION_TAG,
    SchedulerResource,
    first_date,
)
from email_scheduler.orchestration.sensors import Cursor, Record

_MOST_TEXT: Final = 1_000
_REMEDIES: Final = {check.name: check.description for check in (*CHECKS, *UPKEEP_CHECKS)}
_OURS: Final = {name for name, value in vars(errors).items() if isinstance(value, type)}
ALERTS_SENSOR: Final = "alerts"
_SECONDS: Final = 30
# A tick has a minute, of which delivering takes its part.
_MOST_SECONDS_LOOKING: Final = 15.0
_MOST_RUNS: Final = 50
_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dataclass(frozen=True)
class CheckOutcome:
    """The result of one check.

    Attributes:
        asset: The asset that was looked at.
        name: The check.
        passed: Whether it was as it should be.
        is_warning: Whether it would be a warning only if it was not.
        found: What was found, in words, if the check says it.
        unhealthy: Of the check of health: why each organisation that was looked at is unhealthy, if it is.
    """

    asset: str
    name: str
    passed: bool
    is_warning: bool = False
    found: str = ""
    unhealthy: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class RunOutcome:
    """What became of one run.

    Attributes:
        run_id: The run.
        job: Its job.
        organization: Whose partition it was; empty: that of nobody.
        day: The date of the partition, ISO 8601; empty: there is none.
        has_succeeded: Whether it came to its end.
        failures: What the steps that failed said, as far as it may be told.
        checks: The results of its checks.
    """

    run_id: str
    job: str
    organization: str = ""
    day: str = ""
    has_succeeded: bool = True
    failures: tuple[str, ...] = ()
    checks: tuple[CheckOutcome, ...] = field(default=())


def read_outcome(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunOutcome:
    """Return what became of a run, from its events."""
    kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
    failures, checks = [], []
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            failures.append(f"{event.step_key}: {_why(event)}")
        else:
            checks.append(_check(event.asset_check_evaluation_data))
    return RunOutcome(
        run_id=run.run_id,
        job=run.job_name,
        organization=run.tags.get(ORGANIZATION_PARTITION_TAG, ""),
        day=run.tags.get(DATE_PARTITION_TAG, ""),
        has_succeeded=run.status == dg.DagsterRunStatus.SUCCESS,
        failures=tuple(failures),
        checks=tuple(checks),
    )


def _why(event: dg.DagsterEvent) -> str:
    """Return what a failed step said if the package said it; of other errors, which show data, the kind."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return " ".join(data.user_failure_data.description.split())
    kinds, error = [], data.error
    while error is not None:
        if error.cls_name in _OURS:
            return " ".join(error.message.split())
        kinds.append(str(error.cls_name))
        error = error.cause
    # the first one is Dagster's own, around what was raised
    return next(iter(kinds[1:] or kinds), "no reason was recorded")


def _check(evaluation: dg.AssetCheckEvaluation) -> CheckOutcome:
    unhealthy, found = (evaluation.metadata.get(name) for name in (UNHEALTHY, FOUND))
    return CheckOutcome(
        asset=evaluation.asset_key.path[-1],
        name=evaluation.check_name,
        passed=evaluation.passed,
        is_warning=evaluation.severity == dg.AssetCheckSeverity.WARN,
        found=str(found.value) if found is not None else "",
        unhealthy=unhealthy.value if isinstance(unhealthy, dg.JsonMetadataValue) else None,  # type: ignore[arg-type]
    )


def begun_by(outcome: RunOutcome, *, include_warnings: bool, ui_url: str | None = None) -> list[Incident]:
    """Return the incidents that a run shows."""
    link = "" if ui_url is None else f"\n{ui_url.rstrip('/')}/runs/{outcome.run_id}"
    run = f"Run: {outcome.run_id}{link}"
    who = outcome.organization or "all organisations"
    found = []
    if not outcome.has_succeeded:
        day = f" for {outcome.day}" if outcome.day else ""
        why = "; ".join(outcome.failures) or "its process ended, or it took too long"
        found.append(
            Incident(
                f"run/{outcome.job}/{outcome.organization}/{outcome.day}",
                f"{who}: run of {outcome.job}{day} failed",
                f"{why[:_MOST_TEXT]}\nWhat to do: mend what it names, then start it again in the UI. A"
                f" plan of today is tried again by itself, three times.\n{run}",
            )
        )
    for check in outcome.checks:
        if check.name == ALL_HEALTHY.name:
            found += [
                Incident(
                    f"unhealthy/{name}",
                    f"{name}: unhealthy",
                    f"{'; '.join(reasons)[:_MOST_TEXT]}\nWhat to do: email-scheduler health shows all"
                    f" figures; docs/operations.md says what they mean.\n{run}",
                )
                for name, reasons in (check.unhealthy or {}).items()
                if reasons
            ]
        elif not check.passed and (include_warnings or not check.is_warning):
            kind = "a warning" if check.is_warning else "an error"
            found.append(
                Incident(
                    _check_key(outcome, check),
                    f"{who}: check {check.name} of {check.asset} failed ({kind})",
                    "\n".join(filter(None, (check.found[:_MOST_TEXT], _REMEDIES.get(check.name), run))),
                )
            )
    return found


def ended_by(outcome: RunOutcome, ledger: IncidentLedger) -> list[str]:
    """Return the keys of incidents that a run shows to be over."""
    over: list[str] = []
    if outcome.has_succeeded:
        over += keys_with(ledger, f"run/{outcome.job}/{outcome.organization}/", outcome.day)
    for check in outcome.checks:
        if check.name == ALL_HEALTHY.name:
            over += [f"unhealthy/{name}" for name, reasons in (check.unhealthy or {}).items() if not reasons]
        elif check.passed:
            over.append(_check_key(outcome, check))
    return over


def _check_key(outcome: RunOutcome, check: CheckOutcome) -> str:
    return f"check/{check.asset}/{check.name}/{outcome.organization}"


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
        from email_scheduler.health.delivery import channels_of  # noqa: PLC0415

        now = datetime.now(TIME_ZONE)
        try:
            current = scheduler.shared_config()
        except EmailSchedulerError as error:
            context.log.warning("the configuration is not accepted; that of the start counts: %s", error)
            current = config
        channels = channels_of(current.alerts)
        ledger = only(IncidentLedger.read(context.cursor), list(channels))
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
    ledger: IncidentLedger,
    config: SchedulerConfig,
    channels: Sequence[str],
    now: datetime,
) -> IncidentLedger:
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
    settings, give_up = config.alerts, time.monotonic() + _MOST_SECONDS_LOOKING
    for record in records:
        if time.monotonic() > give_up:
            break
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
    ledger: IncidentLedger,
    scheduler: SchedulerResource,
    organizations: Sequence[str],
    config: SchedulerConfig,
    channels: Sequence[str],
    now: datetime,
) -> IncidentLedger:
    from email_scheduler.database import error_text  # noqa: PLC0415
    from email_scheduler.health.figures import plan_record  # noqa: PLC0415

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
            record = plan_record(settings.url, settings.config, day)
        except Exception as error:
            # the check of health tells that it cannot be reached
            context.log.info("%s could not be looked at: %s", name, error_text(error))
            continue
        ledger = _after_look(ledger, name, record, day, deadline, channels, now)
    return ledger


def _after_look(
    ledger: IncidentLedger,
    name: str,
    record: Record,
    day: date,
    deadline: str,
    channels: Sequence[str],
    now: datetime,
) -> IncidentLedger:
    if record.last_date != day:
        incident = missed(name, day, deadline, record.last_date, is_waiting=record.is_waiting)
        return begin(ledger, [incident], channels, now)
    # a plan of today also ends what failed runs have begun
    over = [missed_key(name, day), *keys_with(ledger, f"run/{JOB_NAME}/{name}/", day.isoformat())]
    if not record.is_waiting:
        over.append(f"check/{LOSES_TOO_MUCH.asset}/{LOSES_TOO_MUCH.name}/{name}")
    ledger = end(ledger, over)
    return replace(ledger, planned={**ledger.planned, name: day.isoformat()})


def _deliver(
    context: dg.SensorEvaluationContext, ledger: IncidentLedger, channels: Mapping[str, Callable[..., None]]
) -> tuple[IncidentLedger, str]:
    said = []
    for channel, deliver in channels.items():
        notices = notices_for(ledger, channel)
        if not notices:
            continue
        try:
            deliver(notices)
        except Exception as error:
            # what was not told is told by the next look; what others were told stays told, whatever this was
            why = str(error) if isinstance(error, DeliveryError) else type(error).__name__
            context.log.warning("%s: %d alerts were not delivered: %s", channel, len(notices), why)
            said.append(f"{channel}: not delivered: {why}")
        else:
            ledger = delivered(ledger, channel)
            said.append(f"{channel}: told {len(notices)}")
    return ledger, "; ".join(said) or "nothing to tell"
