"""The figures of a plan, which charts and reports show: counts only, never what a row says of a person.

They are counted once, when the plan is made, and kept with the record of the run: what is shown of a day
is what was published that day, and showing it costs nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.categories import is_label
from email_scheduler.planning.columns import SortedIds, from_day, to_day
from email_scheduler.planning.cube import Breakdown, Cube, Label, PlanCounts, taken_by_day
from email_scheduler.planning.data_notes import DataNotes
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.rules.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.rules.exclusions import EXCLUSION_REASONS, FOREVER, OpenDays
from email_scheduler.registry import CAMPAIGN_PREFIX, PRE_SCHEDULED, SENT_STATUSES, SKIPPED

DAYS_COUNTED: Final = 366
_NOTES: Final = "notes"


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
    """What a plan comes to.

    Attributes:
        daily_cap: Emails that a day takes.
        daily_limit: The largest volume that does not count as over the limit.
        rows: ``PlanCounts.rows``; of a run that was recorded before cubes were, by ``email_type`` and
            ``reason`` only.
        skipped: The skipped ones of these by ``state`` and ``reason``, which such a run kept by themselves.
        days, moves: As in ``PlanCounts``.
        taken: Emails of each day from the as-of date on that are not the plan's: those that the sending
            system has taken, and those of other programs; days at the end without any are left out.
        closed: The closed days, as days after the as-of date.
        issues: Issue to contacts.
        rows_looked_at: Rows that the proof has looked at.
        violations: Rule of the proof to rows that break it; 0 for a plan that was published.
        campaigns: The campaigns in flight, by instance.
        notes: What somebody should look at in the data; None: the run did not record it.
    """

    daily_cap: int
    daily_limit: int
    rows: Cube
    skipped: Cube
    days: Cube
    moves: Cube
    taken: list[int]
    closed: list[int]
    issues: dict[str, int]
    rows_looked_at: int
    violations: dict[str, int]
    campaigns: list[CampaignFigures]
    notes: DataNotes | None = None

    @cached_property
    def planned(self) -> Breakdown:
        """Email type to rows by reason: the skip reason, or ``pre-scheduled`` where there is none."""
        return self.rows.table("email_type", "reason")

    @cached_property
    def volume(self) -> dict[str, list[int]]:
        """Email type to the planned emails of each day from the as-of date on, without zeros at the end."""
        return {
            email_type: [counts.get(day, 0) for day in range(max(counts) + 1)]
            for email_type, counts in self.days.where(day=range(DAYS_COUNTED))
            .table("email_type", "day")
            .items()
        }

    @cached_property
    def by_state(self) -> Breakdown:
        """State to kind of skip reason to skipped rows."""
        kinds = self.skipped.renamed("reason", _kind).table("state", "reason")
        return {state: dict(sorted(counts.items())) for state, counts in kinds.items()}

    @cached_property
    def adjusted(self) -> dict[str, dict[int, int]]:
        """Adjustment to days from the ideal date (negative: earlier) to planned emails."""
        return self.moves.table("adjustment", "days_moved")

    def volume_by_day(self, days: int = DAYS_COUNTED) -> list[int]:
        """Return the emails of each day from the as-of date on, whosever they are."""
        taken = [*self.taken[:days], *[0] * (days - len(self.taken))]
        planned = self.days.from_number("day", 0, days)
        return [own + other for own, other in zip(planned, taken, strict=True)]

    def document(self) -> dict[str, Any]:
        """Return what is shown, for JSON."""
        return {
            "daily_cap": self.daily_cap,
            "daily_limit": self.daily_limit,
            "planned": self.planned,
            "volume": self.volume,
            "taken": self.taken,
            "closed": self.closed,
            "by_state": self.by_state,
            "adjusted": self.adjusted,
            "issues": self.issues,
            "rows_looked_at": self.rows_looked_at,
            "violations": self.violations,
            "campaigns": [asdict(each) for each in self.campaigns],
            **self._notes(),
        }

    def kept(self) -> dict[str, Any]:
        """Return what is kept with the run (``scheduler_checkpoints.summary``), for JSON."""
        return {
            "daily_cap": self.daily_cap,
            "daily_limit": self.daily_limit,
            "rows": self.rows.document(),
            "days": self.days.document(),
            "moves": self.moves.document(),
            "taken": self.taken,
            "closed": self.closed,
            "issues": self.issues,
            "rows_looked_at": self.rows_looked_at,
            "violations": self.violations,
            "campaigns": [asdict(each) for each in self.campaigns],
            **self._notes(),
        }

    def _notes(self) -> dict[str, Any]:
        return {} if self.notes is None else {_NOTES: self.notes.document()}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "FiguresOfPlan | None":
        """Return the figures of what ``kept`` or ``document`` has returned; None where it lacks some of them.

        Runs that were recorded before cubes were kept what ``document`` returns, and those before lack most.
        """
        cubes = _cubes(document)
        names = {each.name for each in fields(cls)} - cubes.keys() - {_NOTES}
        if not cubes or not names <= document.keys():
            return None
        values = {name: document[name] for name in names}
        notes = DataNotes.of_document(document[_NOTES]) if _NOTES in document else None
        campaigns = [CampaignFigures(**each) for each in values["campaigns"]]
        return cls(**values | cubes | {"campaigns": campaigns, _NOTES: notes})


def figures_of_plan(
    plan: Plan,
    inputs: PlanInputs,
    config: SchedulerConfig,
    rules: Iterable[str],
    dropped: npt.NDArray[np.integer] | None = None,
    notes: DataNotes | None = None,
) -> FiguresOfPlan:
    """Return what a plan comes to.

    Args:
        plan: The plan, which is proved.
        inputs: What it was made from.
        config: The organisation's configuration.
        rules: The rules that the plan was proved to keep.
        dropped: Positions of rows that do not count: those that were not published, since the sending system
            took their emails meanwhile.
        notes: What somebody should look at in the data, where it is to be kept.
    """
    counts = plan.counts
    if dropped is not None and len(dropped):
        counts -= PlanCounts.of(plan.schedules.take(dropped), plan.contacts, plan.as_of)
    days = np.arange(DAYS_COUNTED, dtype=np.int32) + np.int32(to_day(plan.as_of))
    issues = plan.issues["issue"].value_counts()
    return FiguresOfPlan(
        daily_cap=plan.daily_cap,
        daily_limit=plan.daily_limit,
        rows=counts.rows,
        skipped=skipped_rows(counts.rows),
        days=counts.days,
        moves=counts.moves,
        taken=_until_last(taken_by_day(plan.counts, plan.fixed, DAYS_COUNTED, plan.as_of)),
        closed=np.flatnonzero(~OpenDays(config.send_calendar).is_open(days)).tolist(),
        issues={str(issue): int(issues[issue]) for issue in sorted(issues.index) if issues[issue]},
        rows_looked_at=len(plan.schedules),
        violations=dict.fromkeys(rules, 0),
        campaigns=_campaigns(
            plan, inputs, read_instances(inputs.campaign_types, inputs.campaign_instances), counts
        ),
        notes=notes,
    )


def skipped_rows(rows: Cube) -> Cube:
    """Return the skipped ones of ``PlanCounts.rows``."""
    return rows.where(status=SKIPPED)


def kind_of_reason(reason: str) -> str:
    """Return a skip reason without the state that it names."""
    return reason.rpartition(" in ")[0] if reason in EXCLUSION_REASONS else reason


def _kind(reason: Label) -> Label:
    return kind_of_reason(str(reason))


def _cubes(document: Mapping[str, Any]) -> dict[str, Cube]:
    """Return the cubes of what is kept of a run; none where it lacks what they are made from."""
    if "rows" in document:
        rows, days, moves = (Cube.of_document(document[name]) for name in ("rows", "days", "moves"))
        return {"rows": rows, "skipped": skipped_rows(rows), "days": days, "moves": moves}
    if not {"planned", "by_state", "volume", "adjusted"} <= document.keys():
        return {}
    volume = {name: dict(enumerate(counts)) for name, counts in document["volume"].items()}
    adjusted = {
        name: {int(days): rows for days, rows in by.items()} for name, by in document["adjusted"].items()
    }
    return {
        "rows": Cube.of_table("email_type", "reason", document["planned"]),
        "skipped": Cube.of_table("state", "reason", document["by_state"]),
        "days": Cube.of_table("email_type", "day", volume),
        "moves": Cube.of_table("adjustment", "days_moved", adjusted),
    }


def _until_last(counts: list[int]) -> list[int]:
    """Return counts without the zeros at their end."""
    last = np.flatnonzero(counts)
    return counts[: last[-1] + 1] if len(last) else []


def _campaigns(
    plan: Plan, inputs: PlanInputs, instances: dict[int, CampaignInstance], counts: PlanCounts
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
    by_status = counts.campaigns.table("campaign_instance_id", "status")
    today = to_day(plan.as_of)
    found = []
    for each, its_sent in zip((instances[id_] for id_ in ids.tolist()), sent.tolist(), strict=True):
        own = by_status.get(each.id, {})
        planned, skipped = own.get(PRE_SCHEDULED, 0), own.get(SKIPPED, 0)
        if (each.is_active and each.end >= today) or planned or skipped:
            found.append(
                CampaignFigures(
                    instance_id=each.id,
                    campaign_type=each.email_type.removeprefix(CAMPAIGN_PREFIX),
                    starts=_iso(each.start),
                    ends=_iso(each.end),
                    planned=planned,
                    skipped=skipped,
                    sent=its_sent,
                )
            )
    return found


def _iso(day: int) -> str | None:
    return None if abs(day) == FOREVER else from_day(day).isoformat()
