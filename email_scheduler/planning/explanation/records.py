"""What the database keeps of plans and of the rows of one contact, as explaining takes it."""

from dataclasses import dataclass
from datetime import date, datetime

from email_scheduler.planning.vocabulary import STATUSES


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
