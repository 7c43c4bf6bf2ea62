"""Importing what the older program has sent, so that nothing of it is sent again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Text,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from email_scheduler.campaigns import InstanceRow, as_stored, date_text, list_instances, list_types
from email_scheduler.clock import new_run_id, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.cutover.older_emails import (
    CAMPAIGN_INSTANCE,
    EVENT_DATE,
    SEND_DATE,
    SENDER_STATUSES,
    SENT_AT,
    EmailLine,
    read_emails,
)
from email_scheduler.cutover.rate_increases import (
    CAMPAIGN_TYPE,
    INSTANCE_NAME,
    OLDER_TYPE,
    ensure_older_instance,
    most_used,
)
from email_scheduler.database import (
    ID,
    SENDER_ROW_SQL,
    BadLines,
    Connection,
    LineKind,
    Session,
    Source,
    connected,
    count_outcomes,
    current_user,
    email_schedules,
    import_lines,
    open_csv,
    read_id,
    require_current_schema,
    stage_table,
    transaction,
)
from email_scheduler.registry import CAMPAIGN_PREFIX, FOLLOW_UP_PREFIX

NEW_OLDER_TYPE: Final = CAMPAIGN_PREFIX + CAMPAIGN_TYPE

NO_INSTANCE: Final = "a campaign email without its campaign instance; accepted is its name or id"
UNKNOWN_INSTANCE: Final = "the campaign type has no such instance; accepted is the name or the id of one"
NO_CAMPAIGN: Final = "an email of this type belongs to no campaign; accepted is a blank cell"
NO_EVENT: Final = "no date, and the campaign instance has no trigger date of its own; accepted is YYYY-MM-DD"
AFTER_TODAY: Final = "after today; accepted is the day on which the email was sent"
TWO_LINES: Final = (
    "the same email stands further up with another status, date of sending or event date;"
    " accepted is one line for each email"
)

# What becomes of a line, besides what becomes of any.
THERE_ALREADY: Final = "there_already"
NOT_SENT: Final = "not_sent"

_COPIED: Final = (
    "contact_id",
    "email_type",
    "status",
    "campaign_instance_id",
    "email_template",
    "event_year",
    "event_month",
    "event_day",
)

stage: Final = stage_table(
    "history_import",
    Column("email_type", Text),
    # 0: the instance of the older program's rate increases, which is not there yet
    Column("campaign_instance_id", ID),
    Column("send_date", Text),
    Column("sent_at", Text),
    Column("event_date", Text),
    Column("event_year", Integer),
    Column("event_month", Integer),
    Column("event_day", Integer),
    Column("status", Text),
    Column("email_template", Text),
)


def _sent_on(columns: Any) -> ColumnElement[str]:
    """Return the send date of lines (section 1 of the planning rules)."""
    return func.coalesce(func.substr(cast(columns.sent_at, Text()), 1, 10), columns.send_date)


# A line is about an email to a contact, and says when it was sent, what it was about and what became of it.
HISTORY: Final = LineKind(
    stage,
    about=lambda columns: [
        columns.email_type,
        columns.send_date,
        func.coalesce(columns.campaign_instance_id, 0),
    ],
    says=lambda columns: [columns.status, func.coalesce(columns.event_date, ""), _sent_on(columns)],
    conflict=(TWO_LINES, ""),
)


@dataclass(frozen=True)
class HistoryImport:
    """What became of the lines of a file.

    Attributes:
        run_id: In ``scheduler_run_id`` of the rows that were added.
        counts: Lines by what became of them: added, there_already, repeated, not_sent.
        added: Rows that were added, by email type.
        first_date, last_date: Of the rows that were added, ISO 8601; None: there are none.
        bad_lines: Those that could not be taken.
    """

    run_id: str
    counts: dict[str, int]
    added: dict[str, int]
    first_date: str | None
    last_date: str | None
    bad_lines: BadLines = field(default_factory=BadLines)


def import_history(
    url: str,
    config: SchedulerConfig,
    path: Path,
    *,
    as_of: date | None = None,
    changed_by: str | None = None,
    skip_bad: bool = False,
    is_dry_run: bool = False,
) -> HistoryImport:
    """Add the emails of a CSV file to ``email_schedules`` as rows of the sending system, in one transaction.

    An email is the same as one that is there if contact, type, campaign instance and day are: a second time
    nothing is added. The rows have no ideal date, like all of the older program, so that none can stand in a
    plan's way. Emails of the type ``rate_increase`` become those of the instance that
    ``migrate_rate_increases`` makes.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        path: The file; its columns: ``email_lines.read_emails``.
        as_of: The last day on which an email can have been sent; None: today.
        changed_by: Who does it, if a campaign instance is made; None: the operating system's user.
        skip_bad: Take the other lines if some cannot be taken.
        is_dry_run: Return what would become of them; change nothing.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        DatabaseError: The database cannot be used; nothing was changed.
        UsageError: The file cannot be read.
    """
    require_current_schema(url, config)
    run_id = new_run_id(today(), "import")
    with connected(url, config, is_bulky=True) as connection:
        lines = _History(path, _Campaigns.read(connection), (as_of or today()).isoformat())
        bad_lines = import_lines(connection, HISTORY, Source(str(path)), lines.read, skip_bad=skip_bad)
        with transaction(connection, changed_by or current_user(), is_dry_run=is_dry_run) as session:
            _place_rate_increases(session, config)
            _find_present(connection)
            _add(session, run_id)
            counts = count_outcomes(connection, stage) | {NOT_SENT: lines.not_sent}
            added, first_date, last_date = _added(connection)
    return HistoryImport(run_id, counts, added, first_date, last_date, bad_lines)


def _place_rate_increases(session: Session, config: SchedulerConfig) -> None:
    """Give rate increases of the older program the instance that was not there yet."""
    without = stage.c.campaign_instance_id == 0
    templates = session.connection.execute(select(stage.c.email_template).where(without))
    if templates:
        instance = ensure_older_instance(session, config, most_used(template for (template,) in templates))
        session.connection.execute(update(stage).where(without).values(campaign_instance_id=instance.id))


def _add(session: Session, run_id: str) -> None:
    emails = email_schedules.c
    now = session.now
    values = {
        "scheduled_send_date": cast(stage.c.send_date, emails.scheduled_send_date.type),
        "actual_send_datetime": cast(stage.c.sent_at, emails.actual_send_datetime.type),
        "scheduler_run_id": literal(run_id),
        "created_at": as_stored(now, emails.created_at.type),
        "updated_at": as_stored(now, emails.updated_at.type),
    }
    new = select(*(stage.c[name] for name in _COPIED), *values.values()).where(stage.c.outcome.is_(None))
    session.connection.execute(
        insert(email_schedules).from_select([*_COPIED, *values], new.order_by(stage.c.line))
    )


def _added(connection: Connection) -> tuple[dict[str, int], str | None, str | None]:
    """Return how many rows were added by email type, and the first and the last day of them."""
    found = connection.execute(
        select(stage.c.email_type, func.count(), func.min(stage.c.send_date), func.max(stage.c.send_date))
        .where(stage.c.outcome.is_(None))
        .group_by(stage.c.email_type)
        .order_by(stage.c.email_type)
    )
    added = {str(email_type): int(count) for email_type, count, _, _ in found}
    first_date = min((first for _, _, first, _ in found), default=None)
    return added, first_date, max((last for _, _, _, last in found), default=None)


def _find_present(connection: Connection) -> None:
    """Note the lines whose email is in the database: of the same contact, type, instance and day."""
    emails = email_schedules.c
    is_same_type = or_(
        emails.email_type == stage.c.email_type,
        and_(emails.email_type == OLDER_TYPE, stage.c.email_type == NEW_OLDER_TYPE),
    )
    is_same_campaign = or_(
        stage.c.campaign_instance_id.is_(None),
        emails.campaign_instance_id == stage.c.campaign_instance_id,
        emails.email_type == OLDER_TYPE,
    )
    sent_on = func.coalesce(date_text(emails.actual_send_datetime), date_text(emails.scheduled_send_date))
    is_same_day = or_(
        date_text(emails.scheduled_send_date) == stage.c.send_date, sent_on == _sent_on(stage.c)
    )
    is_present = exists().where(
        emails.contact_id == stage.c.contact_id,
        text(f"email_schedules.{SENDER_ROW_SQL}"),
        is_same_type,
        is_same_campaign,
        is_same_day,
    )
    connection.execute(
        update(stage).where(stage.c.outcome.is_(None), is_present).values(outcome=THERE_ALREADY)
    )


@dataclass(frozen=True)
class _Campaigns:
    """The campaign instances of the database, by what a file may call them.

    Attributes:
        by_name: Email type and name, ``type/name`` or id; for follow-ups, whose type is blank here, not name.
        trigger_dates: Ids of instances with a trigger date of their own, ISO 8601.
    """

    by_name: Mapping[tuple[str, str], InstanceRow]
    trigger_dates: Mapping[int, str]

    @classmethod
    def read(cls, connection: Connection) -> "_Campaigns":
        types = {each.name: each for each in list_types(connection)}
        by_name: dict[tuple[str, str], InstanceRow] = {}
        trigger_dates = {}
        for each in list_instances(connection):
            email_type = CAMPAIGN_PREFIX + each.campaign_type
            # an id is not taken for the name of another instance
            by_name.setdefault((email_type, each.instance_name), each)
            for name in (each.reference, str(each.id)):
                by_name[email_type, name] = by_name["", name] = each
            # an older database may hold an instance without its type
            day = (
                each.default_trigger_date(types[each.campaign_type]) if each.campaign_type in types else None
            )
            if day is not None:
                trigger_dates[each.id] = day.isoformat()
        return cls(by_name, trigger_dates)

    def find(self, email_type: str, name: str) -> InstanceRow | None:
        """Return the instance of an email type that a file calls so; None: there is none.

        Spreadsheets write ``.0`` behind an id, which may be another instance's name.
        """
        return self.by_name.get((email_type, name)) or self.by_name.get((email_type, str(read_id(name))))

    def of(self, line: EmailLine) -> tuple[str, int | None, str | None, tuple[str, str] | None]:
        """Return email type, instance and event date of a line as they are stored, and what is wrong."""
        email_type, name, event = line.email_type, line.campaign_instance, line.event_date
        if email_type == OLDER_TYPE:
            found = self.find(NEW_OLDER_TYPE, name or INSTANCE_NAME)
            problem = None if found or not name else (CAMPAIGN_INSTANCE, UNKNOWN_INSTANCE)
            return NEW_OLDER_TYPE, found.id if found else 0, event, problem
        is_follow_up = email_type.startswith(FOLLOW_UP_PREFIX)
        if not email_type.startswith(CAMPAIGN_PREFIX) and not is_follow_up:
            return email_type, None, event, (CAMPAIGN_INSTANCE, NO_CAMPAIGN) if name else None
        if not name:
            return email_type, None, event, None if is_follow_up else (CAMPAIGN_INSTANCE, NO_INSTANCE)
        found = self.find("" if is_follow_up else email_type, name)
        if found is None:
            return email_type, None, event, (CAMPAIGN_INSTANCE, UNKNOWN_INSTANCE)
        if not event and not is_follow_up:
            event = self.trigger_dates.get(found.id)
            if event is None:
                return email_type, found.id, None, (EVENT_DATE, NO_EVENT)
        return email_type, found.id, event, None


class _History:
    """The emails of a file that were sent, as rows of the temporary table.

    Attributes:
        not_sent: How many lines were about others, and passed over so far.
    """

    def __init__(self, path: Path, campaigns: _Campaigns, last_date: str) -> None:
        self.not_sent = 0
        self._path = path
        self._campaigns = campaigns
        self._last_date = last_date

    def read(self, bad_lines: BadLines) -> Iterator[dict[str, object]]:
        """Yield the rows; note bad lines."""
        with open_csv(self._path) as lines:
            for line in read_emails(lines, str(self._path), bad_lines):
                if line.status not in SENDER_STATUSES:
                    self.not_sent += 1
                    continue
                email_type, instance_id, event, problem = self._campaigns.of(line)
                if (line.sent_at or line.send_date)[:10] > self._last_date:
                    problem = (SENT_AT if line.sent_at else SEND_DATE, AFTER_TODAY)
                if problem is not None:
                    bad_lines.add(line.number, *problem)
                    continue
                year, month, day = map(int, event.split("-")) if event else (None, None, None)
                yield {
                    "line": line.number,
                    "contact_id": line.contact_id,
                    "address": line.address,
                    "email_type": email_type,
                    "campaign_instance_id": instance_id,
                    "send_date": line.send_date,
                    "sent_at": line.sent_at,
                    "event_date": event,
                    "event_year": year,
                    "event_month": month,
                    "event_day": day,
                    "status": line.status,
                    "email_template": line.email_template,
                }
