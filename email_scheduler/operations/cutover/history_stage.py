"""The emails that the older program has sent, in a temporary table: each line looked up, none taken twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.engine import Connection

from email_scheduler.operations.campaigns.campaign_instances import InstanceRow, list_instances
from email_scheduler.operations.campaigns.campaign_types import list_types
from email_scheduler.operations.campaigns.values import date_text
from email_scheduler.operations.csv_files.bad_lines import BadLines
from email_scheduler.operations.csv_files.contacts import (
    COLUMN_OF,
    batches,
    contact_columns,
    find_contacts,
    note_bad,
)
from email_scheduler.operations.csv_files.records import open_csv
from email_scheduler.operations.cutover.email_lines import (
    CAMPAIGN_INSTANCE,
    EVENT_DATE,
    SEND_DATE,
    SENDER_STATUSES,
    SENT_AT,
    EmailLine,
    read_emails,
)
from email_scheduler.operations.rate_increases import CAMPAIGN_TYPE, INSTANCE_NAME, OLDER_TYPE
from email_scheduler.planning.registry.email_types import CAMPAIGN_PREFIX, FOLLOW_UP_PREFIX
from email_scheduler.storage.tables import SENDER_ROW_SQL, email_schedules
from email_scheduler.storage.types import ID

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
_COLUMN_OF: Final = COLUMN_OF | {TWO_LINES: ""}

# What becomes of a line.
ADDED: Final = "added"
THERE_ALREADY: Final = "there_already"
REPEATED: Final = "repeated"
NOT_SENT: Final = "not_sent"

stage: Final = Table(
    "history_import",
    MetaData(),
    Column("line", ID, primary_key=True, autoincrement=False),
    *contact_columns(),
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
    # of the same email: the first line that names it
    Column("first_line", ID),
    Column("outcome", Text),
    prefixes=["TEMPORARY"],
)


def fill_stage(connection: Connection, path: Path, bad_lines: BadLines, as_of: date) -> int:
    """Put the lines of a file into the temporary table, in transactions of their own.

    Afterwards ``outcome`` is null for lines that name one contact that exists, and an email that no line
    further up names; ``repeated`` for a line that says what another one says; the others are noted as bad and
    gone.

    Args:
        connection: Not in a transaction.
        path: The file.
        bad_lines: Gets what cannot be taken.
        as_of: The last day on which an email can have been sent.

    Returns:
        How many lines are about emails that were not sent, and were passed over.

    Raises:
        UsageError: The file cannot be read.
    """
    with connection.begin():
        campaigns = _Campaigns.read(connection)
        stage.create(connection, checkfirst=False)
    passed_over: Counter[str] = Counter()
    with open_csv(path) as lines, connection.begin():
        found = read_emails(lines, str(path), bad_lines)
        for batch in batches(_rows(found, campaigns, bad_lines, as_of.isoformat(), passed_over)):
            connection.execute(insert(stage), batch)
    with connection.begin():
        find_contacts(connection, stage)
        note_bad(connection, stage, bad_lines, _COLUMN_OF)
        _find_repeated(connection)
        note_bad(connection, stage, bad_lines, _COLUMN_OF)
    return passed_over[NOT_SENT]


def find_present(connection: Connection) -> None:
    """Note the lines whose email is in the database: of the same contact, type, instance and day.

    Args:
        connection: In the transaction that is to write.
    """
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

    def of(self, line: EmailLine) -> tuple[str, int | None, str | None, tuple[str, str] | None]:
        """Return email type, instance and event date of a line as they are stored, and what is wrong."""
        email_type, name, event = line.email_type, line.campaign_instance, line.event_date
        if email_type == OLDER_TYPE:
            found = self.by_name.get((NEW_OLDER_TYPE, name or INSTANCE_NAME))
            problem = None if found or not name else (CAMPAIGN_INSTANCE, UNKNOWN_INSTANCE)
            return NEW_OLDER_TYPE, found.id if found else 0, event, problem
        is_follow_up = email_type.startswith(FOLLOW_UP_PREFIX)
        if not email_type.startswith(CAMPAIGN_PREFIX) and not is_follow_up:
            return email_type, None, event, (CAMPAIGN_INSTANCE, NO_CAMPAIGN) if name else None
        if not name:
            return email_type, None, event, None if is_follow_up else (CAMPAIGN_INSTANCE, NO_INSTANCE)
        found = self.by_name.get(("" if is_follow_up else email_type, name))
        if found is None:
            return email_type, None, event, (CAMPAIGN_INSTANCE, UNKNOWN_INSTANCE)
        if not event and not is_follow_up:
            event = self.trigger_dates.get(found.id)
            if event is None:
                return email_type, found.id, None, (EVENT_DATE, NO_EVENT)
        return email_type, found.id, event, None


def _rows(
    lines: Iterable[EmailLine],
    campaigns: _Campaigns,
    bad_lines: BadLines,
    last_date: str,
    passed_over: Counter[str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the temporary table; note bad lines, count those about emails that were not sent."""
    for line in lines:
        if line.status not in SENDER_STATUSES:
            passed_over[NOT_SENT] += 1
            continue
        email_type, instance_id, event, problem = campaigns.of(line)
        if (line.sent_at or line.send_date)[:10] > last_date:
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


def _find_repeated(connection: Connection) -> None:
    # made when the table is full, which is cheaper
    connection.exec_driver_sql(
        "CREATE INDEX ix_history_import ON history_import (contact_id, email_type, send_date, line)"
    )
    other = stage.alias("other")
    first = select(func.min(other.c.line)).where(
        other.c.contact_id == stage.c.contact_id,
        other.c.email_type == stage.c.email_type,
        other.c.send_date == stage.c.send_date,
        func.coalesce(other.c.campaign_instance_id, 0) == func.coalesce(stage.c.campaign_instance_id, 0),
    )
    connection.execute(update(stage).values(first_line=first.scalar_subquery()))
    is_further_down = stage.c.line > stage.c.first_line
    says_the_same = exists().where(
        other.c.line == stage.c.first_line,
        other.c.status == stage.c.status,
        func.coalesce(other.c.event_date, "") == func.coalesce(stage.c.event_date, ""),
        _sent_on(other.c) == _sent_on(stage.c),
    )
    connection.execute(update(stage).where(is_further_down, says_the_same).values(outcome=REPEATED))
    connection.execute(update(stage).where(is_further_down, ~says_the_same).values(outcome=TWO_LINES))


def _sent_on(columns: Any) -> ColumnElement[str]:
    """Return the send date of lines (section 1 of the planning rules)."""
    return func.coalesce(func.substr(cast(columns.sent_at, Text()), 1, 10), columns.send_date)
