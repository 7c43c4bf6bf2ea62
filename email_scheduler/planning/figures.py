"""The figures of a plan, which charts and reports show: counts only, never what a row says of a person.

They are counted once, when the plan is published, and kept with the record of the run: what is shown of a day
is what was published that day, and showing it costs nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.chunks import side_by_side
from email_scheduler.planning.compliance import RULES
from email_scheduler.planning.dates import from_day, to_day
from email_scheduler.planning.exclusions import EXCLUSION_REASONS, FOREVER
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.registry.email_types import (
    CAMPAIGN_PREFIX,
    FOLLOW_UP_TYPES,
    PRE_SCHEDULED,
    SENT_STATUSES,
)
from email_scheduler.planning.send_calendar import OpenDays

DAYS_COUNTED: Final = 366
# Emails that are moved further than that count under it.
MOST_DAYS_MOVED: Final = 400
# What stands for the state of a contact that is not among the valid ones.
UNKNOWN_STATE: Final = "unknown"

_ROWS_AT_A_TIME: Final = 1 << 18
_MOVES: Final = 2 * MOST_DAYS_MOVED + 1
_Counts = npt.NDArray[np.int64]
_Positions = npt.NDArray[np.integer]


@dataclass(frozen=True)
class CampaignFigures:
    """A campaign instance that is in flight: active and not ended, or with rows in the plan.

    Attributes:
        instance_id: The row of ``campaign_instances``.
        campaign_type: Its type.
        starts, ends: Its dates, ISO 8601, inclusive; None where it has none.
        planned: Emails that are to go out.
        skipped: Emails that are not.
        sent: Emails that went out, as far as the planner had read when it made the plan.
    """

    instance_id: int
    campaign_type: str
    starts: str | None
    ends: str | None
    planned: int
    skipped: int
    sent: int


@dataclass(frozen=True)
class FiguresOfPlan:
    """What a plan comes to. The document of the same keys is kept in ``scheduler_checkpoints.summary``.

    Attributes:
        daily_cap: Emails that a day takes.
        daily_limit: The largest volume that does not count as over the limit.
        planned: Email type to rows by reason: the skip reason, or ``pre-scheduled`` where there is none.
        volume: Email type to the planned emails of each day from the as-of date on; days at the end without
            any are left out.
        taken: Emails of each of these days that are not the plan's: those that the sending system has taken,
            and those of other programs.
        closed: The closed days, as days after the as-of date.
        by_state: State to kind of skip reason to skipped rows.
        adjusted: Adjustment to days from the ideal date (negative: earlier) to planned emails.
        issues: Issue to contacts.
        rows_looked_at: Rows that the proof has looked at.
        violations: Rule of the proof to rows that break it; 0 for a plan that was published.
        campaigns: The campaigns in flight, by instance.
    """

    daily_cap: int
    daily_limit: int
    planned: dict[str, dict[str, int]]
    volume: dict[str, list[int]]
    taken: list[int]
    closed: list[int]
    by_state: dict[str, dict[str, int]]
    adjusted: dict[str, dict[int, int]]
    issues: dict[str, int]
    rows_looked_at: int
    violations: dict[str, int]
    campaigns: list[CampaignFigures]

    def document(self) -> dict[str, Any]:
        """Return the same for JSON."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "FiguresOfPlan | None":
        """Return the figures of a document; None where it lacks them, as those of earlier versions do."""
        names = [each.name for each in fields(cls)]
        if any(name not in document for name in names):
            return None
        values = {name: document[name] for name in names}
        values["adjusted"] = {
            adjustment: {int(days): count for days, count in moves.items()}
            for adjustment, moves in values["adjusted"].items()
        }
        values["campaigns"] = [CampaignFigures(**each) for each in values["campaigns"]]
        return cls(**values)

    def volume_by_day(self, days: int = DAYS_COUNTED) -> list[int]:
        """Return the emails of each day from the as-of date on, whosever they are."""
        totals = np.zeros(days, np.int64)
        for counts in (*self.volume.values(), self.taken):
            shown = np.array(counts[:days], np.int64)
            totals[: len(shown)] += shown
        return totals.tolist()


def figures_of_plan(
    plan: Plan, inputs: PlanInputs, config: SchedulerConfig, dropped: _Positions | None = None
) -> FiguresOfPlan:
    """Count what a plan comes to.

    Args:
        plan: The plan, which is proved.
        inputs: What it was made from.
        config: The organisation's configuration.
        dropped: Positions of rows that do not count: those that were not published, since the sending system
            took their emails meanwhile.
    """
    instances = read_instances(inputs.campaign_types, inputs.campaign_instances)
    count = _Counter(plan, sorted(instances))
    parts = [
        np.s_[start : start + _ROWS_AT_A_TIME] for start in range(0, len(plan.schedules), _ROWS_AT_A_TIME)
    ]
    counts = _Tally.sum([count.nothing(), *side_by_side(lambda part: count(plan.schedules[part]), parts)])
    taken = _taken(plan, counts.volume, count.types)
    if dropped is not None and len(dropped):
        counts = _Tally.sum([counts], less=count(plan.schedules.take(dropped)))
    days = np.arange(DAYS_COUNTED, dtype=np.int32) + np.int32(to_day(plan.as_of))
    issues = plan.issues["issue"].value_counts()
    return FiguresOfPlan(
        daily_cap=plan.daily_cap,
        daily_limit=plan.daily_limit,
        planned=_named(counts.planned, count.types, count.reasons),
        volume={
            name: _until_last(row) for name, row in zip(count.types, counts.volume, strict=True) if row.any()
        },
        taken=_until_last(taken),
        closed=np.flatnonzero(~OpenDays(config.send_calendar).is_open(days)).tolist(),
        by_state=_named(counts.by_state, count.states, count.kinds),
        adjusted=_named(counts.adjusted, count.adjustments, range(-MOST_DAYS_MOVED, MOST_DAYS_MOVED + 1)),
        issues={str(issue): int(issues[issue]) for issue in sorted(issues.index) if issues[issue]},
        rows_looked_at=len(plan.schedules),
        violations=dict.fromkeys(RULES, 0),
        campaigns=_campaigns(plan, inputs, instances, counts.campaigns),
    )


@dataclass(frozen=True)
class _Tally:
    """Counts of rows, one array for each question."""

    planned: _Counts
    volume: _Counts
    by_state: _Counts
    adjusted: _Counts
    campaigns: _Counts

    @classmethod
    def sum(cls, tallies: "list[_Tally]", less: "_Tally | None" = None) -> "_Tally":
        """Return the sum of all, less one."""
        totals = {each.name: sum(getattr(tally, each.name) for tally in tallies) for each in fields(cls)}
        if less is not None:
            totals = {name: total - getattr(less, name) for name, total in totals.items()}
        return cls(**totals)


class _Counter:
    """Counts some rows of a plan (``EMAIL_SCHEDULES``).

    Attributes:
        types, reasons, states, kinds, adjustments: The names of what is counted by.
    """

    def __init__(self, plan: Plan, instance_ids: list[int]) -> None:
        """Read the labels once."""
        rows, contacts = plan.schedules, plan.contacts
        self.types = [str(name) for name in rows["email_type"].cat.categories]
        self.adjustments = [str(name) for name in rows["adjustment"].cat.categories]
        self.states = [*(str(name) for name in contacts["state"].cat.categories), UNKNOWN_STATE]
        self.reasons = [*(str(name) for name in rows["skip_reason"].cat.categories), PRE_SCHEDULED]
        kinds = [kind_of_reason(name) for name in self.reasons]
        self.kinds = sorted(set(kinds))
        self._kind_of_reason = np.array([self.kinds.index(kind) for kind in kinds], np.int64)
        self._first_day = to_day(plan.as_of)
        self._contacts = SortedIds(contacts["contact_id"].to_numpy())
        # the last one is that of contacts that are not there
        self._state = np.append(contacts["state"].cat.codes.to_numpy(), len(self.states) - 1)
        self._instances = np.array(instance_ids, np.int64)

    def nothing(self) -> _Tally:
        """Return the counts of no rows."""
        return _Tally(
            np.zeros((len(self.types), len(self.reasons)), np.int64),
            np.zeros((len(self.types), DAYS_COUNTED), np.int64),
            np.zeros((len(self.states), len(self.kinds)), np.int64),
            np.zeros((len(self.adjustments), _MOVES), np.int64),
            np.zeros((len(self._instances), 2), np.int64),
        )

    def __call__(self, rows: pd.DataFrame) -> _Tally:
        reasons = rows["skip_reason"].cat.codes.to_numpy().astype(np.int64)
        is_planned = is_label(rows["status"], [PRE_SCHEDULED])
        send = rows["scheduled_send_date"].to_numpy()
        day = send - np.int32(self._first_day)
        is_shown = is_planned & (day >= 0) & (day < DAYS_COUNTED)
        types = rows["email_type"].cat.codes.to_numpy()
        adjustments = rows["adjustment"].cat.codes.to_numpy()
        moved = np.flatnonzero(is_planned & (adjustments >= 0))
        ideal = rows["ideal_send_date"].to_numpy()
        by_days = np.clip(send[moved] - ideal[moved], -MOST_DAYS_MOVED, MOST_DAYS_MOVED) + MOST_DAYS_MOVED
        skipped = np.flatnonzero(reasons >= 0)
        state = self._state[self._contacts.positions(rows["contact_id"].to_numpy()[skipped])]
        nothing = self.nothing()
        return _Tally(
            # the last name is that of rows without a reason
            _count(nothing.planned, types, reasons % len(self.reasons)),
            _count(nothing.volume, types[is_shown], day[is_shown]),
            _count(nothing.by_state, state, self._kind_of_reason[reasons[skipped]]),
            _count(nothing.adjusted, adjustments[moved], by_days),
            self._by_campaign(rows, is_planned, nothing.campaigns),
        )

    def _by_campaign(
        self, rows: pd.DataFrame, is_planned: npt.NDArray[np.bool_], nothing: _Counts
    ) -> _Counts:
        instances = rows["campaign_instance_id"].to_numpy()
        its_own = np.flatnonzero((instances != 0) & (rows["initial_email_id"].to_numpy() == 0))
        which = SortedIds(self._instances).positions(instances[its_own])
        is_known = which >= 0
        return _count(nothing, which[is_known], ~is_planned[its_own[is_known]])


def kind_of_reason(reason: str) -> str:
    """Return a skip reason without the state that it names."""
    return reason.rpartition(" in ")[0] if reason in EXCLUSION_REASONS else reason


def _count(nothing: _Counts, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> _Counts:
    """Return how often each pair of numbers occurs, in the shape of ``nothing``."""
    if not nothing.size:
        return nothing
    pairs = first.astype(np.int64) * nothing.shape[1] + second
    return np.bincount(pairs, minlength=nothing.size).reshape(nothing.shape)


def _named(counts: _Counts, rows: list[str], columns: Any) -> dict[str, dict[Any, int]]:
    """Return counts by the names of their rows and columns; those that are 0 are left out."""
    names = list(columns)
    return {
        row: {names[column]: int(line[column]) for column in np.flatnonzero(line)}
        for row, line in zip(rows, counts, strict=True)
        if line.any()
    }


def _until_last(counts: npt.NDArray[np.integer]) -> list[int]:
    """Return counts without the zeros at their end."""
    last = np.flatnonzero(counts)
    found: list[int] = counts[: last[-1] + 1].tolist() if len(last) else []
    return found


def _taken(plan: Plan, volume: _Counts, types: list[str]) -> _Counts:
    """Return the emails of each day that balancing could not move, less the plan's follow-ups."""
    first = to_day(plan.as_of)
    fixed = plan.fixed.reindex(range(first, first + DAYS_COUNTED), fill_value=0).to_numpy()
    follow_ups = [number for number, name in enumerate(types) if name in FOLLOW_UP_TYPES]
    taken: _Counts = fixed.astype(np.int64) - volume[follow_ups].sum(axis=0)
    return taken


def _campaigns(
    plan: Plan, inputs: PlanInputs, instances: dict[int, CampaignInstance], counts: _Counts
) -> list[CampaignFigures]:
    ids = np.array(sorted(instances), np.int64)
    history = inputs.history
    status = history["status"]
    is_sent = (
        is_label(status, SENT_STATUSES)
        if isinstance(status.dtype, pd.CategoricalDtype)
        else status.isin(SENT_STATUSES).to_numpy()
    )
    its_own = is_sent & (history["initial_email_id"].to_numpy() == 0)
    which = SortedIds(ids).positions(history["campaign_instance_id"].to_numpy()[its_own])
    sent = np.bincount(which[which >= 0], minlength=len(ids))
    today = to_day(plan.as_of)
    return [
        CampaignFigures(
            instance_id=each.id,
            campaign_type=each.email_type.removeprefix(CAMPAIGN_PREFIX),
            starts=_iso(each.start),
            ends=_iso(each.end),
            planned=int(planned),
            skipped=int(skipped),
            sent=int(its_sent),
        )
        for each, (planned, skipped), its_sent in zip(
            (instances[id_] for id_ in ids.tolist()), counts, sent, strict=True
        )
        if (each.is_active and each.end >= today) or planned or skipped
    ]


def _iso(day: int) -> str | None:
    return None if abs(day) == FOREVER else from_day(day).isoformat()
