"""The sensors: they look at each organisation's database, decide, and ask for runs.

What they decide are pure functions of what they saw, and of what they remember of the looks before.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Final, Protocol, TypeVar

import dagster as dg
from pydantic import TypeAdapter

from email_scheduler.clock import TIME_ZONE, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.orchestration.checks import BREAKS_RULES_TAG, LOSES_TOO_MUCH_TAG
from email_scheduler.orchestration.partitions import (
    DATE_PARTITION_TAG,
    ORGANIZATION_PARTITION_TAG,
    OrganizationSettings,
    Partition,
    SchedulerResource,
    first_date,
)

# Changes have settled when the last one is the same at two looks, or at the fourth look at the latest.
MOST_LOOKS: Final = 3
MOST_ATTEMPTS: Final = 3
# Looks until a run is asked for again that has not led to anything.
LOOKS_BEFORE_RETRY: Final = 12
# Looks until a plan that is not there counts as missed: the schedule's own run may be on its way.
LOOKS_BEFORE_MISSED: Final = 2
LOOKS_BETWEEN_MISSED: Final = 10
CHANGES_SENSOR: Final = "campaign_changes"
CONTACTS_SENSOR: Final = "contact_changes"
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
_REFUSED_TAGS: Final = (BREAKS_RULES_TAG, LOSES_TOO_MUCH_TAG)
_Seen = TypeVar("_Seen")


class WaitingChanges(Protocol):
    """``PendingChanges``, which is not imported: its module brings the drivers with it."""

    @property
    def last_id(self) -> int: ...  # noqa: D102
    @property
    def last_changed_at(self) -> str: ...  # noqa: D102


class Record(Protocol):
    """``PlanRecord``."""

    @property
    def last_date(self) -> date | None: ...  # noqa: D102
    @property
    def has_broken_rules(self) -> bool: ...  # noqa: D102
    @property
    def is_waiting(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Position:
    """What is remembered of one organisation.

    Attributes:
        seen: The last change at the look before.
        looks: Looks since something was asked for or first seen.
        requested: The last change when a run was asked for.
        attempts: How many runs were asked for because of it, or on ``day``.
        day: Of missed plans: the day that the attempts are of.
    """

    seen: str = ""
    looks: int = 0
    requested: str = ""
    attempts: int = 0
    day: str = ""


_POSITIONS: Final = TypeAdapter(dict[str, Position])
_LAST: Final = TypeAdapter(str)


@dataclass(frozen=True)
class Cursor:
    """What a sensor remembers.

    Attributes:
        positions: By organisation.
        last: The organisation that was looked at last; the next look begins behind it.
    """

    positions: Mapping[str, Position]
    last: str = ""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """Return what ``write`` wrote; of anything else, nothing is remembered."""
        try:
            content = json.loads(text or "{}")
            positions = _POSITIONS.validate_python(content.get("organizations", {}))
            return cls(positions, _LAST.validate_python(content.get("last", "")))
        except (ValueError, AttributeError, RecursionError):
            return cls({})

    def write(self) -> str:
        """Return the cursor as JSON."""
        blank = asdict(Position())
        entries = {
            name: {key: value for key, value in asdict(position).items() if value != blank[key]}
            for name, position in self.positions.items()
        }
        return json.dumps({"organizations": {k: v for k, v in entries.items() if v}, "last": self.last})

    def in_turn(self, organizations: Sequence[str], most: int) -> list[str]:
        """Return the organisations that are to be looked at, beginning behind the last one."""
        start = organizations.index(self.last) + 1 if self.last in organizations else 0
        return [*organizations[start:], *organizations[:start]][:most]


@dataclass(frozen=True)
class Request:
    """A run that is asked for.

    Attributes:
        organization: Whose plan it makes.
        run_key: Dagster starts one run of each key, ever.
    """

    organization: str
    run_key: str


Decision = tuple[list[Request], dict[str, Position]]


def decide(
    changes: Mapping[str, WaitingChanges | None],
    positions: Mapping[str, Position],
    busy: Collection[str] = (),
    refused: Collection[str] = (),
) -> Decision:
    """Decide whose plan is to be made anew because campaigns have changed, or contacts.

    Changes that come in quick succession make one run. While a run of the organisation is waiting or under
    way, none is asked for: it stamps what it has seen, and what is left afterwards makes one more. A run that
    has left its changes pending is asked for again, ``MOST_ATTEMPTS`` times in all.

    Args:
        changes: What is pending (None: nothing), of each organisation that could be looked at.
        positions: What is remembered of each organisation.
        busy: Organisations with a run of today's plan that waits or is under way.
        refused: Organisations whose plan broke a rule today, or waits for a person: the same changes would
            not do better.

    Returns:
        The runs to ask for, and what to remember from now on.
    """
    requests: list[Request] = []
    remembered = dict(positions)
    for organization, pending in changes.items():
        if pending is None:
            remembered.pop(organization, None)
            continue
        position = remembered.get(organization, Position())
        change = f"{pending.last_id}@{pending.last_changed_at}"
        if change == position.requested:
            is_due = position.looks + 1 >= LOOKS_BEFORE_RETRY
            may_retry = position.attempts < MOST_ATTEMPTS and organization not in refused
            attempt = position.attempts + 1
        else:
            is_due = change == position.seen or position.looks >= MOST_LOOKS
            may_retry, attempt = True, 1
        if organization in busy:
            looks = 0 if change == position.requested else position.looks + 1
            remembered[organization] = replace(position, seen=change, looks=looks)
        elif is_due and may_retry:
            remembered[organization] = Position(change, 0, change, attempt)
            requests.append(Request(organization, _run_key(organization, change, attempt)))
        else:
            remembered[organization] = replace(position, seen=change, looks=position.looks + 1)
    return requests, remembered


def decide_missed(
    records: Mapping[str, Record],
    positions: Mapping[str, Position],
    day: date,
    busy: Collection[str] = (),
    refused: Collection[str] = (),
) -> Decision:
    """Decide whose plan of the day was missed and is to be made; the schedule's hour is over.

    Args:
        records: What is known of the plans of each organisation that could be looked at.
        positions: What is remembered of each organisation.
        day: Today.
        busy: Organisations with a run of today's plan that waits or is under way.
        refused: Organisations whose plan broke a rule today, or waits for a person.

    Returns:
        The runs to ask for, ``MOST_ATTEMPTS`` a day for an organisation, and what to remember from now on.
    """
    requests: list[Request] = []
    remembered = dict(positions)
    for organization, record in records.items():
        # a plan that lies ahead of today is not today's
        is_there = record.last_date == day
        if is_there or record.has_broken_rules or record.is_waiting or organization in refused:
            remembered.pop(organization, None)
            continue
        position = remembered.get(organization, Position())
        if position.day != day.isoformat():
            position = Position(day=day.isoformat())
        looks = 0 if organization in busy else position.looks + 1
        wanted = LOOKS_BETWEEN_MISSED if position.attempts else LOOKS_BEFORE_MISSED
        if looks >= wanted and position.attempts < MOST_ATTEMPTS:
            position = replace(position, attempts=position.attempts + 1)
            looks = 0
            requests.append(Request(organization, f"{organization}/{day.isoformat()}/{position.attempts}"))
        remembered[organization] = replace(position, looks=looks)
    return requests, remembered


def _run_key(organization: str, change: str, attempt: int) -> str:
    return f"{organization}/{change}" + (f"/{attempt}" if attempt > 1 else "")


def build_sensors(
    job: "dg.UnresolvedAssetJobDefinition", organizations: Sequence[str], config: SchedulerConfig
) -> list[dg.SensorDefinition]:
    """Return the sensors, which are on from the start, as the schedule is.

    Args:
        job: The job that plans one partition.
        organizations: The names of the organisations that there are partitions of.
        config: When the schedule plans, and since when there are partitions.
    """

    def decided(
        context: dg.SensorEvaluationContext,
        scheduler: SchedulerResource,
        see: Callable[[OrganizationSettings], WaitingChanges | None],
    ) -> dg.SensorResult:
        tick = _Tick(context, scheduler, today())
        if tick.day < first_date(config):
            return dg.SensorResult(skip_reason=f"the first plan is that of {first_date(config)}")
        # first the runs, then the changes: a run that ends in between has stamped its own
        busy, refused = tick.busy(), tick.refused()
        seen = tick.look(organizations, see)
        waiting = ", ".join(name for name, changes in seen.items() if changes is not None)
        nothing_to_do = f"changes wait: {waiting}" if waiting else "nothing has changed"
        return tick.result(decide(seen, tick.cursor.positions, busy, refused), nothing_to_do)

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
        from email_scheduler.health.figures import pending_changes  # noqa: PLC0415

        return decided(context, scheduler, lambda each: pending_changes(each.url, each.config))

    @dg.sensor(
        name=CONTACTS_SENSOR,
        job=job,
        minimum_interval_seconds=_CHANGES_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes an organisation's plan of today anew when contacts were edited after the plan.",
    )
    def contact_changes(context: dg.SensorEvaluationContext, scheduler: SchedulerResource) -> dg.SensorResult:
        from email_scheduler.health.figures import edited_contacts  # noqa: PLC0415

        return decided(context, scheduler, lambda each: edited_contacts(each.url, each.config))

    @dg.sensor(
        name=MISSED_SENSOR,
        job=job,
        minimum_interval_seconds=_MISSED_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes an organisation's plan of today if the schedule's hour is over and there is none.",
    )
    def missed_plans(context: dg.SensorEvaluationContext, scheduler: SchedulerResource) -> dg.SensorResult:
        from email_scheduler.health.figures import plan_record  # noqa: PLC0415

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

    return [campaign_changes, contact_changes, missed_plans]


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
        """Return the organisations with a run whose plan of today breaks a rule, or loses too much."""
        day = self.day.isoformat()
        filters = [dg.RunsFilter(tags={**self._today(), tag: day}) for tag in _REFUSED_TAGS]
        return set().union(*map(self._organizations_with_runs, filters))

    def look(
        self, organizations: Sequence[str], see: Callable[[OrganizationSettings], _Seen]
    ) -> dict[str, _Seen]:
        """Look at one organisation after the other, as long as there is time.

        One that cannot be looked at, for whatever reason, is left out and does not keep the others from it.
        """
        from email_scheduler.database import error_text  # noqa: PLC0415 - the drivers take a while to load

        give_up = time.monotonic() + _MOST_SECONDS
        seen: dict[str, _Seen] = {}
        for name in self.cursor.in_turn(organizations, _MOST_ORGANIZATIONS):
            if time.monotonic() > give_up:
                break
            self.last = name
            try:
                seen[name] = see(self.scheduler.organization(name))
            except Exception as error:
                self.problems.append(f"{name} could not be looked at: {error_text(error)}")
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
