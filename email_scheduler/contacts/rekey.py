"""Contacts that were given new ids: what is stored about the old ids is carried over to the new ones.

All tables that name contacts follow, in one transaction. Ids are first made into numbers that no contact has,
so that new ids may be old ones of other contacts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from email_scheduler.clock import new_run_id, today
from email_scheduler.config import SchedulerConfig
from email_scheduler.contacts.headings import plain
from email_scheduler.database import (
    ACCEPTED_ID,
    ID,
    UNKNOWN_CONTACT,
    BadLines,
    BadLinesError,
    Connection,
    LineReader,
    Problems,
    Session,
    connected,
    contact_campaigns,
    contact_rekeys,
    contact_suppressions,
    contacts,
    email_schedules,
    email_schedules_archive,
    metadata,
    note_contacts,
    open_csv,
    planner_lock,
    read_id,
    read_lines,
    require_current_schema,
    take_out,
    transaction,
    unescape_cell,
)
from email_scheduler.errors import UsageError
from email_scheduler.registry import STATUSES

OLD_ID: Final = "old_id"
NEW_ID: Final = "new_id"
SAME_ID: Final = "the same id as the old one; accepted is another one"
TWICE: Final = "stands further up; accepted is each id once"
STILL_THERE: Final = "the contact is still there; accepted is an id that no contact has any more"
BOTH_SENT: Final = "an email of the same occurrence was sent to both ids; accepted is one to one of them"
BOTH_TARGETS: Final = (
    "both ids are targets of a campaign instance with the same date; accepted is one of the two"
)
BOTH_SUPPRESSED: Final = "both ids are suppressed; accepted is one suppression of the two"
_OLD_TWICE: Final = f"the old id {TWICE}"
_NEW_TWICE: Final = f"the new id {TWICE}"
_COLUMN_OF: Final = {
    _OLD_TWICE: OLD_ID,
    _NEW_TWICE: NEW_ID,
    UNKNOWN_CONTACT: NEW_ID,
    STILL_THERE: OLD_ID,
    BOTH_SENT: NEW_ID,
    BOTH_TARGETS: NEW_ID,
    BOTH_SUPPRESSED: NEW_ID,
}
_RECORDED: Final = ("old_contact_id", "new_contact_id", "rekeyed_at", "rekeyed_by", "reason")
# What is told about a contact's row itself stays with the row.
_OF_THE_ROW: Final = {"contact_changes"}
# Whose rows are written and deleted by triggers of suppressions, which must not find them meanwhile.
_SUPPRESSED_ADDRESSES: Final = "suppressed_addresses"
_ROWS_AT_A_TIME: Final = 20_000
_ON_THE_WAY: Final = 1 << 61

_stage: Final = Table(
    "contact_rekey",
    MetaData(),
    Column("line", ID, primary_key=True, autoincrement=False),
    Column(OLD_ID, ID),
    Column(NEW_ID, ID),
    Column("outcome", Text),
    prefixes=["TEMPORARY"],
)
_old, _new = email_schedules.alias("of_old"), email_schedules.alias("of_new")


@dataclass(frozen=True)
class Rekeyed:
    """What was carried over.

    Attributes:
        contacts: How many contacts have new ids.
        rows: How many rows were carried over, by table.
        archived: Planned rows that went to the archive, since another row has their occurrence.
    """

    contacts: int
    rows: dict[str, int]
    archived: int


def rekey_contacts(
    url: str,
    config: SchedulerConfig,
    path: Path,
    *,
    changed_by: str,
    reason: str | None = None,
    is_dry_run: bool = False,
) -> Rekeyed:
    """Carry over what is stored about old ids of contacts to their new ones, in one transaction.

    The rows of ``contacts`` stay as they are: the new ids are there, the old ones are not.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        path: The file, with the columns ``old_id`` and ``new_id``.
        changed_by: Who does it.
        reason: Why.
        is_dry_run: Return what would be carried over; change nothing.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        DatabaseError: The database cannot be used; nothing was changed.
        PlannerLockedError: A planner works on the database; nothing was changed.
        UsageError: The file cannot be read.
    """
    require_current_schema(url, config)
    bad_lines = BadLines()
    with (
        planner_lock(url, config, new_run_id(today(), "rekey")),
        connected(url, config, is_bulky=True) as connection,
    ):
        with connection.staging():
            _stage_lines(connection, path, bad_lines)
            _check(connection)
            take_out(connection, _stage, bad_lines, _COLUMN_OF)
        if bad_lines:
            raise BadLinesError(str(path), bad_lines, "line", can_skip=False)
        with transaction(connection, changed_by, is_dry_run=is_dry_run) as session:
            archived = _make_room(session)
            rows = _carry(connection)
            # what was planned for the old ids may not be sent if the rows of the new ones say something else
            note_contacts(connection, f"SELECT {NEW_ID} FROM {_stage.name}")  # noqa: S608
            _record(session, reason)
            ((count,),) = connection.execute(select(func.count()).select_from(_stage))
    return Rekeyed(int(count), rows, archived)


def _stage_lines(connection: Connection, path: Path, bad_lines: BadLines) -> None:
    connection.create_temporary(_stage)
    with open_csv(path) as lines:
        rows: Iterator[dict[str, object]] = read_lines(lines, str(path), bad_lines, _reader_of)
        while batch := list(islice(rows, _ROWS_AT_A_TIME)):
            connection.append_rows(_stage, batch)
    # made when the table is full, which is cheaper
    for name in (OLD_ID, NEW_ID):
        connection.execute(f"CREATE INDEX ix_{_stage.name}_{name} ON {_stage.name} ({name}, line)")


def _reader_of(heading: list[str], where: str) -> LineReader[dict[str, object]]:
    names = [plain(name) for name in heading]
    if any(names.count(plain(name)) != 1 for name in (OLD_ID, NEW_ID)):
        raise UsageError(
            f"{where}: there is not one column {OLD_ID} and one column {NEW_ID}; accepted are these two"
        )
    places = {name: names.index(plain(name)) for name in (OLD_ID, NEW_ID)}

    def read(number: int, cells: list[str], problems: Problems) -> dict[str, object]:
        ids = {name: read_id(unescape_cell(cells[at].strip())) for name, at in places.items()}
        problems += [(name, ACCEPTED_ID) for name, contact_id in ids.items() if contact_id is None]
        if ids[OLD_ID] is not None and ids[OLD_ID] == ids[NEW_ID]:
            problems.append((NEW_ID, SAME_ID))
        return {"line": number, **ids}

    return read


def _check(connection: Connection) -> None:
    """Note why a line cannot be taken."""
    stage, other = _stage, _stage.alias("other")
    is_further_up = other.c.line < stage.c.line
    is_there = exists().where(contacts.c.id == stage.c.old_id)
    is_given_anew = exists().where(other.c.new_id == stage.c.old_id)
    first, second = contact_campaigns.alias("of_old"), contact_campaigns.alias("of_new")
    is_same_target = and_(
        first.c.contact_id == stage.c.old_id,
        second.c.contact_id == stage.c.new_id,
        first.c.campaign_instance_id == second.c.campaign_instance_id,
        func.coalesce(first.c.trigger_date, "") == func.coalesce(second.c.trigger_date, ""),
    )
    one, another = contact_suppressions.alias("of_old"), contact_suppressions.alias("of_new")
    are_suppressed = and_(one.c.contact_id == stage.c.old_id, another.c.contact_id == stage.c.new_id)
    are_sent = and_(_are_of_one_occurrence(), ~_is_planners(_old), ~_is_planners(_new))
    for condition, reason in (
        (exists().where(other.c.old_id == stage.c.old_id, is_further_up), _OLD_TWICE),
        (exists().where(other.c.new_id == stage.c.new_id, is_further_up), _NEW_TWICE),
        (~exists().where(contacts.c.id == stage.c.new_id), UNKNOWN_CONTACT),
        (and_(is_there, ~is_given_anew), STILL_THERE),
        (and_(_stays(), exists().where(are_sent)), BOTH_SENT),
        (and_(_stays(), exists().where(is_same_target)), BOTH_TARGETS),
        (and_(_stays(), exists().where(are_suppressed)), BOTH_SUPPRESSED),
    ):
        connection.execute(update(stage).where(stage.c.outcome.is_(None), condition).values(outcome=reason))


def _stays() -> ColumnElement[bool]:
    """Return the condition that what is stored about the new id of a line is not carried over itself."""
    moved = _stage.alias("moved")
    return ~exists().where(moved.c.old_id == _stage.c.new_id)


def _is_planners(emails: Any) -> ColumnElement[bool]:
    return func.coalesce(emails.c.status, "").in_(STATUSES)


def _are_of_one_occurrence() -> ColumnElement[bool]:
    """Return the condition that an email to the old id and one to the new id are about the same."""
    return and_(
        _old.c.contact_id == _stage.c.old_id,
        _new.c.contact_id == _stage.c.new_id,
        *(each.c.ideal_send_date.is_not(None) for each in (_old, _new)),
        *(each.c.initial_email_id.is_(None) for each in (_old, _new)),
        _old.c.email_type == _new.c.email_type,
        *(_old.c[part] == _new.c[part] for part in ("event_year", "event_month", "event_day")),
        func.coalesce(_old.c.campaign_instance_id, 0) == func.coalesce(_new.c.campaign_instance_id, 0),
    )


def _make_room(session: Session) -> int:
    """Archive the planned rows whose occurrence has a row of the other id; return how many."""
    connection, now = session.connection, session.now
    giving_way = case((_is_planners(_new), _new.c.id), else_=_old.c.id)
    found = connection.execute(
        select(giving_way).select_from(_stage, _old, _new).where(_are_of_one_occurrence(), _stays())
    )
    archive, names = email_schedules_archive.c, email_schedules.columns.keys()
    archived_at = cast(literal(now), archive.archived_at.type)
    as_of_date = cast(literal(today().isoformat()), archive.as_of_date.type)
    ids = [row_id for (row_id,) in found]
    for start in range(0, len(ids), _ROWS_AT_A_TIME):
        is_leaving = email_schedules.c.id.in_(ids[start : start + _ROWS_AT_A_TIME])
        leaving = select(*email_schedules.columns, archived_at, as_of_date).where(is_leaving)
        connection.execute(
            insert(email_schedules_archive).from_select([*names, "archived_at", "as_of_date"], leaving)
        )
        connection.execute(delete(email_schedules).where(is_leaving))
    return len(ids)


def _carry(connection: Connection) -> dict[str, int]:
    """Give the rows of all tables that name contacts the new ids; return how many, by table."""
    tables = [
        each for each in metadata.sorted_tables if "contact_id" in each.c and each.name not in _OF_THE_ROW
    ]
    # the first to leave, and the last to arrive
    tables.sort(key=lambda each: each.name != _SUPPRESSED_ADDRESSES)
    rows = {}
    for each in tables:
        new_id = select(-_ON_THE_WAY - _stage.c.new_id).where(_stage.c.old_id == each.c.contact_id)
        is_concerned = each.c.contact_id.in_(select(_stage.c.old_id))
        leave = update(each).where(is_concerned).values(contact_id=new_id.scalar_subquery())
        rows[each.name] = connection.change(leave)
    for each in reversed(tables):
        is_on_the_way = each.c.contact_id <= -_ON_THE_WAY
        arrive = update(each).where(is_on_the_way).values(contact_id=-_ON_THE_WAY - each.c.contact_id)
        connection.execute(arrive)
    return {name: count for name, count in sorted(rows.items()) if count}


def _record(session: Session, reason: str | None) -> None:
    moment = cast(literal(session.now), contact_rekeys.c.rekeyed_at.type)
    said = (literal(session.changed_by), cast(literal(reason), Text()))
    values = select(_stage.c.old_id, _stage.c.new_id, moment, *said)
    session.connection.execute(insert(contact_rekeys).from_select(_RECORDED, values.order_by(_stage.c.line)))
