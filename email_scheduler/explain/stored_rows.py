"""What the database keeps of plans and of one contact's rows, and the rows as a plan had them (section 13).

A row that was updated since has lost what it said before: then nobody knows it any more, and this says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from email_scheduler.registry import PRE_SCHEDULED, STATUSES


@dataclass(frozen=True)
class KeptRun:
    """One row of ``scheduler_checkpoints``.

    Attributes:
        number: Its id: later runs have higher ones.
        run_id: The run.
        as_of: The date that its plan is for.
        status: ``started``, ``in_progress``, ``completed`` or ``failed``.
        began_at, completed_at: When it began to publish, and when it was done; None: not known, or not yet.
        published_on: The day of that in US Central time.
        config_version: The row of ``config_versions``; None: none is named.
    """

    number: int
    run_id: str
    as_of: date
    status: str
    began_at: datetime | None
    completed_at: datetime | None
    published_on: date | None
    config_version: int | None


@dataclass(frozen=True)
class StoredRow:
    """One row of ``email_schedules`` or its archive, its dates read; None where there is none.

    Attributes:
        event_date: What it is about; None also where the parts are no date.
        send_date: As section 1 of the planning rules has it.
        metadata: JSON text.
        created_at, updated_at: When its run wrote it first and last.
        actual_send_datetime: As the sender wrote it.
        sent_at: The same moment; None: there is none, or it says no time of day.
        archived_at: When it left the plan; None: it is in ``email_schedules``.
        archived_as_of: The date of the plan that no longer had it.
    """

    id: int
    contact_id: int
    email_type: str
    status: str
    skip_reason: str | None
    adjustment: str | None
    campaign_instance_id: int | None
    initial_email_id: int | None
    event_date: date | None
    ideal_send_date: date | None
    scheduled_send_date: date | None
    scheduled_send_time: str | None
    send_date: date | None
    priority: int | None
    email_template: str | None
    sms_template: str | None
    metadata: str | None
    run_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    actual_send_datetime: str | None
    sent_at: datetime | None
    archived_at: datetime | None = None
    archived_as_of: date | None = None

    @property
    def is_planners(self) -> bool:
        """Whether the planner has written its status, and the sender has not taken it."""
        return self.status in STATUSES

    @property
    def was_planned_here(self) -> bool:
        """Whether a plan of this program has made it; others make rows without an ideal date."""
        return self.ideal_send_date is not None


@dataclass(frozen=True)
class PlanRow:
    """A row as a plan had it.

    Attributes:
        row: As the database has it now; what is left of it, if it has been changed since.
        status: What it was in the plan; None: not kept.
        taken_as: The status that the sending system has given it; None: it has not taken it.
        changed_by: The run that has changed it since the plan, so that what it said then is not kept.
    """

    row: StoredRow
    status: str | None
    taken_as: str | None = None
    changed_by: str | None = None


@dataclass(frozen=True)
class Publication:
    """One plan among all that are on record.

    Attributes:
        run: The run that published it.
        runs: All runs on record, by their ids.
        is_last: Whether no later one has been published.
    """

    run: KeptRun
    runs: dict[str, KeptRun]
    is_last: bool

    @property
    def moment(self) -> datetime | None:
        """When it was published."""
        return self.run.completed_at or self.run.began_at

    def rows(self, stored: Iterable[StoredRow]) -> list[PlanRow]:
        """Return the rows that the plan had, of those that are stored or in the archive."""
        return [
            self._as_planned(row) for row in stored if self._was_there(row) and self._was_the_planners(row)
        ]

    def history(self, stored: Iterable[StoredRow]) -> set[int]:
        """Return the ids of the sender's rows, and of other programs' rows, that the plan could know of."""
        return {row.id for row in stored if self._was_there(row) and not self._was_the_planners(row)}

    def gone(self, stored: Iterable[StoredRow]) -> list[PlanRow]:
        """Return the rows that had left the plan by then, the latest first."""
        rows = [row for row in stored if row.archived_at is not None and not self._is_after(row.archived_at)]
        rows.sort(key=lambda row: (row.archived_at, row.id), reverse=True)
        return [PlanRow(row, row.status) for row in rows]

    def written_by(self, rows: Sequence[StoredRow]) -> KeptRun:
        """Return the run whose plan the contact has: this one, or a later one that did not end."""
        later = [
            self.runs[row.run_id]
            for row in rows
            if row.run_id in self.runs and self.runs[row.run_id].number > self.run.number
        ]
        return max(later, key=lambda run: run.number, default=self.run)

    def _was_there(self, row: StoredRow) -> bool:
        return not self._is_after(row.created_at) and (
            row.archived_at is None or self._is_after(row.archived_at)
        )

    def _was_the_planners(self, row: StoredRow) -> bool:
        if row.is_planners:
            return row.was_planned_here
        if not row.was_planned_here or row.send_date is None or row.send_date < self.run.as_of:
            return False
        is_on_that_day = row.send_date == self.run.as_of == self.run.published_on
        if is_on_that_day and row.sent_at is not None:
            return self._is_after(row.sent_at)
        return True

    def _as_planned(self, row: StoredRow) -> PlanRow:
        status = row.status if row.is_planners else PRE_SCHEDULED
        taken_as = None if row.is_planners else row.status
        run = self.runs.get(row.run_id or "")
        written_at = run.began_at if run else row.updated_at if row.is_planners else row.created_at
        if self._is_after(written_at):
            return PlanRow(row, None, taken_as, row.run_id or "a run that is not on record")
        return PlanRow(row, status, taken_as)

    def _is_after(self, moment: datetime | None) -> bool:
        return moment is not None and self.moment is not None and moment > self.moment


def publication_for(runs: Sequence[KeptRun], day: date) -> Publication | None:
    """Return the plan that was in force on a day; None if none for that day or before is on record."""
    completed = [run for run in runs if run.status == "completed"]
    in_force = [run for run in completed if run.as_of <= day]
    if not in_force:
        return None
    run = max(in_force, key=lambda each: each.number)
    last = max(completed, key=lambda each: each.number)
    return Publication(run, {each.run_id: each for each in runs}, is_last=run is last)
