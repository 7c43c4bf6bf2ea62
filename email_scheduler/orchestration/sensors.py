"""The sensors: they look at each organisation's database, let ``decisions`` decide, and ask for runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, TypeVar

import dagster as dg

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import EmailSchedulerError
from email_scheduler.orchestration.checks import BREAKS_RULES_TAG
from email_scheduler.orchestration.decisions import Cursor, Decision, decide, decide_missed
from email_scheduler.orchestration.partitions import (
    DATE_PARTITION_TAG,
    ORGANIZATION_PARTITION_TAG,
    Partition,
    first_date,
)
from email_scheduler.orchestration.resources import OrganizationSettings, SchedulerResource

CHANGES_SENSOR: Final = "campaign_changes"
MISSED_SENSOR: Final = "missed_plans"
_CHANGES_SECONDS: Final = 5
_MISSED_SECONDS: Final = 60
# A tick has a minute. What there is no time for is looked at by the next one.
_MOST_SECONDS: Final = 20.0
_MOST_ORGANIZATIONS: Final = 200
_WAITING_OR_UNDER_WAY: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_Seen = TypeVar("_Seen")


def build_sensors(
    job: "dg.UnresolvedAssetJobDefinition", organizations: Sequence[str], config: SchedulerConfig
) -> list[dg.SensorDefinition]:
    """Return both sensors, which are on from the start, as the schedule is.

    Args:
        job: The job that plans one partition.
        organizations: The names of the organisations that there are partitions of.
        config: When the schedule plans, and since when there are partitions.
    """

    @dg.sensor(
        name=CHANGES_SENSOR,
        job=job,
        minimum_interval_seconds=_CHANGES_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes an organisation's plan of today anew when its campaigns have changed.",
    )
    def campaign_changes(
        context: dg.SensorEvaluationContext, scheduler: SchedulerResource
    ) -> dg.SensorResult:
        from email_scheduler.storage.watch import pending_changes  # noqa: PLC0415

        tick = _Tick(context, scheduler, today())
        if tick.day < first_date(config):
            return dg.SensorResult(skip_reason=f"the first plan is that of {first_date(config)}")
        # first the runs, then the changes: a run that ends in between has stamped its own
        busy, refused = tick.busy(), tick.refused()
        seen = tick.look(organizations, lambda each: pending_changes(each.url, each.config))
        waiting = ", ".join(name for name, changes in seen.items() if changes is not None)
        nothing_to_do = f"changes wait: {waiting}" if waiting else "nothing has changed"
        return tick.result(decide(seen, tick.cursor.positions, busy, refused), nothing_to_do)

    @dg.sensor(
        name=MISSED_SENSOR,
        job=job,
        minimum_interval_seconds=_MISSED_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes an organisation's plan of today if the schedule's hour is over and there is none.",
    )
    def missed_plans(context: dg.SensorEvaluationContext, scheduler: SchedulerResource) -> dg.SensorResult:
        from email_scheduler.storage.watch import plan_record  # noqa: PLC0415

        now = datetime.now(TIME_ZONE)
        tick = _Tick(context, scheduler, now.date())
        if tick.day < first_date(config):
            return dg.SensorResult(skip_reason=f"the first plan is that of {first_date(config)}")
        if f"{now:%H:%M}" < config.orchestration.daily_plan_time:
            return dg.SensorResult(skip_reason=f"before {config.orchestration.daily_plan_time}")
        busy, refused = tick.busy(), tick.refused()
        seen = tick.look(organizations, lambda each: plan_record(each.url, each.config, tick.day))
        decision = decide_missed(seen, tick.cursor.positions, tick.day, busy, refused)
        return tick.result(decision, "no plan is missing")

    return [campaign_changes, missed_plans]


@dataclass
class _Tick:
    """One look of a sensor at the organisations.

    Attributes:
        context: Of the sensor.
        scheduler: Knows the organisations.
        day: Today.
        cursor: What is remembered of the look before.
        problems: Why organisations could not be looked at.
        last: The organisation that was looked at last.
    """

    context: dg.SensorEvaluationContext
    scheduler: SchedulerResource
    day: date
    cursor: Cursor = field(init=False)
    problems: list[str] = field(default_factory=list)
    last: str = ""

    def __post_init__(self) -> None:
        self.cursor = Cursor.read(self.context.cursor)

    def busy(self) -> set[str]:
        """Return the organisations with a run of today's plan that waits or is under way."""
        return self._organizations_with_runs(
            dg.RunsFilter(tags=self._today(), statuses=_WAITING_OR_UNDER_WAY)
        )

    def refused(self) -> set[str]:
        """Return the organisations with a run that made a plan of today that breaks a rule."""
        return self._organizations_with_runs(
            dg.RunsFilter(tags={**self._today(), BREAKS_RULES_TAG: self.day.isoformat()})
        )

    def look(
        self, organizations: Sequence[str], see: Callable[[OrganizationSettings], _Seen]
    ) -> dict[str, _Seen]:
        """Look at one organisation after the other, as long as there is time.

        One that cannot be looked at is left out and does not keep the others from it.
        """
        give_up = time.monotonic() + _MOST_SECONDS
        seen: dict[str, _Seen] = {}
        for name in self.cursor.in_turn(organizations, _MOST_ORGANIZATIONS):
            if time.monotonic() > give_up:
                break
            self.last = name
            try:
                seen[name] = see(self.scheduler.organization(name))
            except (EmailSchedulerError, OSError) as error:
                self.problems.append(f"{name} could not be looked at: {error}")
                self.context.log.warning(self.problems[-1])
        return seen

    def result(self, decision: Decision, nothing_to_do: str) -> dg.SensorResult:
        """Return what the tick comes to."""
        requests, positions = decision
        cursor = Cursor(positions, self.last).write()
        if not requests:
            return dg.SensorResult(skip_reason="; ".join([nothing_to_do, *self.problems]), cursor=cursor)
        runs = [
            dg.RunRequest(each.run_key, partition_key=Partition(self.day, each.organization).key)
            for each in requests
        ]
        return dg.SensorResult(run_requests=runs, cursor=cursor)

    def _today(self) -> dict[str, str]:
        return {DATE_PARTITION_TAG: self.day.isoformat()}

    def _organizations_with_runs(self, which: dg.RunsFilter) -> set[str]:
        runs = self.context.instance.get_runs(filters=which)
        return {run.tags[ORGANIZATION_PARTITION_TAG] for run in runs}
