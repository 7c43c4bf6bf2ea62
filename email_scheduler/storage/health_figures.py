"""The figures that tell how an organisation does: counts, sizes and moments only."""

from dataclasses import dataclass, field
from typing import Final

DAYS_AHEAD: Final = 30


@dataclass(frozen=True)
class PlanFigures:
    """The last published plan.

    Attributes:
        as_of_date: The date that it was made for, ISO 8601.
        age_hours: Since it was completed; None: nobody says when that was.
        failed_since: Runs that failed after it.
        contacts: Contacts, valid or not.
        invalid_contacts: Those that are not valid.
        emails_planned: Rows to be sent.
        emails_skipped: Rows that are skipped.
        stopped_by_windows: Skipped because of an exclusion window; None: the run did not record it.
        daily_cap: Emails that a day takes; None: as before.
        follow_ups: Planned follow-ups by type, which is how they were decided.
    """

    as_of_date: str
    age_hours: float | None
    failed_since: int
    contacts: int
    invalid_contacts: int
    emails_planned: int
    emails_skipped: int
    stopped_by_windows: int | None
    daily_cap: int | None
    follow_ups: dict[str, int]


@dataclass(frozen=True)
class SenderFigures:
    """What the sending system did, and did not do.

    Attributes:
        untaken: Due emails whose time is over.
        processing: Emails that it has claimed.
        stuck: Those that it has claimed too long ago.
        outcomes_24h: Emails sent, delivered or failed in the last 24 hours.
        failed_24h: Those that failed.
    """

    untaken: int
    processing: int
    stuck: int
    outcomes_24h: int
    failed_24h: int


@dataclass(frozen=True)
class AheadFigures:
    """The emails that wait to be sent in the ``DAYS_AHEAD`` days from today on.

    Attributes:
        backlog: Late ones, those of days that are over included.
        average: Emails a day.
        peak: Emails of the fullest day.
        peak_date: That day; None where nothing is planned.
    """

    backlog: int
    average: float
    peak: int
    peak_date: str | None


@dataclass(frozen=True)
class DatabaseFigures:
    """The database itself.

    Attributes:
        bytes: Its size.
        wal_bytes: Size of SQLite's write-ahead log; None on a server.
        disk_bytes: Size of the disk that holds it; None on a server.
        disk_free_bytes: What is free of it; None on a server.
        missing_indexes: Expected indexes that are not there.
        damage: What is wrong with it, a line each.
    """

    bytes: int
    wal_bytes: int | None
    disk_bytes: int | None
    disk_free_bytes: int | None
    missing_indexes: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HealthFigures:
    """All figures of one organisation.

    Attributes:
        plan: The last published plan; None: there is none.
        sender: What the sending system did.
        ahead: What waits to be sent.
        database: The database itself.
        contact_issues: Contacts by issue, as the last plan found them.
        held_since: Since when nothing is due, ISO 8601; None: it is not held.
    """

    plan: PlanFigures | None
    sender: SenderFigures
    ahead: AheadFigures
    database: DatabaseFigures
    contact_issues: dict[str, int]
    held_since: str | None
