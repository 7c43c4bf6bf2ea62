"""Rate increases of the older program become a campaign.

The older program kept them as rows of ``email_schedules`` of the type ``rate_increase``, which nobody plans
or proves here, and perhaps as a column ``contacts.rate_increase_date``.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Text, cast, column, delete, func, insert, select, table, text, update

from email_scheduler.campaigns import (
    TARGETS,
    InstanceRow,
    TargetLine,
    TypeRow,
    as_date,
    as_stored,
    create_instance,
    create_type,
    days_later,
    find_type,
    list_instances,
    list_types,
    take_targets,
)
from email_scheduler.clock import today
from email_scheduler.config import CampaignType, SchedulerConfig
from email_scheduler.database import (
    PLANNER_ROW_SQL,
    SENDER_ROW_SQL,
    Connection,
    Session,
    changing,
    contact_columns,
    contacts,
    current_user,
    email_schedules,
    email_schedules_archive,
    require_current_schema,
    stage_lines,
)
from email_scheduler.registry import CAMPAIGN_PREFIX

OLDER_TYPE: Final = "rate_increase"
CAMPAIGN_TYPE: Final = "rate_increase"
INSTANCE_NAME: Final = "older_program"
DATE_COLUMN: Final = "rate_increase_date"
DEFAULT_TEMPLATE: Final = "rate_increase_v1"
_DEFAULT_TYPE: Final = CampaignType(days_before_event=14, priority=1)

_emails = email_schedules.c
_is_older: Final = _emails.email_type == OLDER_TYPE
_is_waiting: Final = text(PLANNER_ROW_SQL)
_is_senders: Final = text(SENDER_ROW_SQL)


@dataclass(frozen=True)
class Migration:
    """What became of the rate increases of the older program.

    Attributes:
        instance: The campaign instance; None: there was nothing to do.
        is_new_instance: Whether it was made just now.
        targets: Contacts by what became of them, as for ``campaigns target``: added, moved, unchanged,
            already_sent, already_withdrawn.
        archived: Rows that were waiting or skipped; they went into the archive.
        history: Rows of the sending system; they now answer the campaign.
        unknown_contacts: Contacts of waiting rows that do not exist any more.
        unreadable_dates: Values of ``contacts.rate_increase_date`` that are no date, and contacts of waiting
            rows without any date.
        several_rows: Contacts with more than one waiting row; the one written last counts.
    """

    instance: InstanceRow | None
    is_new_instance: bool
    targets: dict[str, int]
    archived: int
    history: int
    unknown_contacts: int
    unreadable_dates: int
    several_rows: int


def migrate_rate_increases(
    url: str,
    config: SchedulerConfig,
    *,
    changed_by: str | None = None,
    email_template: str | None = None,
    is_dry_run: bool = False,
) -> Migration:
    """Turn the rate increases of the older program into an instance with targets, in one transaction.

    A contact's trigger date is its ``rate_increase_date``, else the event date of its row, else the day the
    row was meant for and the days that the campaign type goes ahead. Rows that were sent stay, as history of
    the instance: their contacts become no targets. A second time there is nothing left to do.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration; gives the campaign type if the database has not got it.
        changed_by: Who does it; None: the operating system's user.
        email_template: Of the instance, if it is made now; None: that of most waiting rows.
        is_dry_run: Return what would become of them; change nothing.

    Raises:
        DatabaseError: The database cannot be used; nothing was changed.
    """
    require_current_schema(url, config)
    with changing(url, config, changed_by or current_user(), is_dry_run=is_dry_run) as session:
        return _migrate(session, config, email_template)


def _migrate(session: Session, config: SchedulerConfig, email_template: str | None) -> Migration:
    connection = session.connection
    waiting = connection.execute(
        select(
            _emails.contact_id,
            cast(_emails.scheduled_send_date, Text()),
            _emails.event_year,
            _emails.event_month,
            _emails.event_day,
            _emails.email_template,
        )
        .where(_is_older, _is_waiting)
        .order_by(_emails.id)
    )
    dates, unreadable = _contact_dates(connection)
    history_row = connection.execute(select(_emails.id).where(_is_older, _is_senders).limit(1))
    if not waiting and not dates and not history_row:
        return Migration(None, False, {}, 0, 0, 0, unreadable, 0)
    is_new = older_instance(connection) is None
    instance = ensure_older_instance(session, config, email_template or most_used(row[5] for row in waiting))
    campaign_type = find_type(connection, CAMPAIGN_TYPE)
    history = connection.change(
        update(email_schedules)
        .where(_is_older, _is_senders)
        .values(email_type=CAMPAIGN_PREFIX + CAMPAIGN_TYPE, campaign_instance_id=instance.id)
    )
    rows_by_contact = Counter(row[0] for row in waiting)
    triggers = {row[0]: _trigger_date(row, campaign_type) for row in waiting if row[0] is not None} | dates
    known = {contact_id for (contact_id,) in connection.execute(select(contacts.c.id))}
    stage_lines(
        connection,
        TARGETS,
        (
            TargetLine(contact_id, contact_id, trigger_date=trigger.isoformat()).row()
            for contact_id, trigger in sorted(triggers.items())
            if contact_id in known and trigger is not None
        ),
    )
    result = take_targets(session, instance)
    archived = _archive(session)
    return Migration(
        instance,
        is_new,
        {name: count for name, count in result.counts.items() if count},
        archived,
        history,
        len(triggers.keys() - known),
        unreadable + sum(trigger is None for trigger in triggers.values()),
        sum(count > 1 for count in rows_by_contact.values()),
    )


def _contact_dates(connection: Connection) -> tuple[dict[int, date], int]:
    """Return the dates of the contacts that have one, and how many are not readable."""
    names = contact_columns(connection)
    if DATE_COLUMN not in names:
        return {}, 0
    stored = cast(column(names[DATE_COLUMN]), Text())
    people = table(contacts.name, column("id"), column(names[DATE_COLUMN]))
    query = select(people.c.id, stored).where(people.c.id.is_not(None), func.trim(stored) != "")
    found = {contact_id: as_date(value.strip()) for contact_id, value in connection.execute(query)}
    dates = {contact_id: day for contact_id, day in found.items() if day is not None}
    return dates, len(found) - len(dates)


def _trigger_date(row: Any, campaign_type: TypeRow) -> date | None:
    _, send_date, year, month, day, _ = row
    try:
        return date(int(year), int(month), int(day))
    except (TypeError, ValueError):
        meant_for = as_date(send_date)
    if meant_for is None:
        return None
    return days_later(meant_for, campaign_type.days_before_event)


def most_used(templates: Iterable[str | None]) -> str:
    """Return the template that occurs most often; ``DEFAULT_TEMPLATE`` if there is none."""
    counted = Counter(each.strip() for each in templates if each is not None and each.strip())
    return counted.most_common(1)[0][0] if counted else DEFAULT_TEMPLATE


def older_instance(connection: Connection) -> InstanceRow | None:
    """Return the instance that the rate increases of the older program belong to, if it is there."""
    names = (CAMPAIGN_TYPE, INSTANCE_NAME)
    found = (each for each in list_instances(connection) if (each.campaign_type, each.instance_name) == names)
    return next(found, None)


def ensure_older_instance(session: Session, config: SchedulerConfig, email_template: str) -> InstanceRow:
    """Return this instance; it is made if need be, with this template, and so is its type."""
    present = older_instance(session.connection)
    if all(each.name != CAMPAIGN_TYPE for each in list_types(session.connection)):
        settings = config.campaign_types.get(CAMPAIGN_TYPE, _DEFAULT_TYPE)
        create_type(session, CAMPAIGN_TYPE, settings.model_dump())
    return present or create_instance(
        session, CAMPAIGN_TYPE, INSTANCE_NAME, {"email_template": email_template}
    )


def _archive(session: Session) -> int:
    """Move the rows that nobody has sent to the archive; return how many."""
    names = email_schedules.columns.keys()
    archive = email_schedules_archive.c
    archived_at = as_stored(session.now, archive.archived_at.type)
    as_of_date = as_stored(today().isoformat(), archive.as_of_date.type)
    leaving = select(*email_schedules.columns, archived_at, as_of_date)
    session.connection.execute(
        insert(email_schedules_archive).from_select(
            [*names, "archived_at", "as_of_date"], leaving.where(_is_older, _is_waiting)
        )
    )
    return session.connection.change(delete(email_schedules).where(_is_older, _is_waiting))
