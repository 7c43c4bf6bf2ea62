"""Campaign types and instances: looking at them, creating and changing them.

Also what columns of their tables hold, whichever database it is and whoever wrote the rows.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, ColumnElement, Text, cast, func, insert, literal, select, type_coerce, update
from sqlalchemy.types import NullType, TypeEngine

from email_scheduler.config import (
    MOST,
    Audience,
    CampaignInstance,
    CampaignInstanceName,
    CampaignType,
    CampaignTypeName,
    Section,
    problems_of,
)
from email_scheduler.database import (
    CREATED,
    Connection,
    LoggedChange,
    Session,
    campaign_instances,
    campaign_types,
    contact_columns,
)
from email_scheduler.errors import UsageError
from email_scheduler.planning import column_problem

_TRUE_WORDS = {"1", "1.0", "true", "t", "yes", "y", "on"}
_Model = TypeVar("_Model", bound=BaseModel)
_METADATA: Final = "metadata"
# Stands for the template where a change does not name one: what is not given is not checked.
_NOT_CHANGED: Final = {"email_template": "not changed"}


def checked(model: type[_Model], settings: Mapping[str, Any], subject: str) -> _Model:
    """Return settings as a model.

    Args:
        model: What is accepted.
        settings: What was given.
        subject: What the settings are for, for the message.

    Raises:
        UsageError: Something is not accepted; one line for each problem.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        problems = problems_of(error, model, settings, lambda key: (subject, key))
        raise UsageError("\n".join(dict.fromkeys(map(str, problems)))) from error


def raw(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as it is stored, a flag too, which may hold a word; texts as texts."""
    if isinstance(column.type, Text):
        return cast(column, Text()).label(column.name)
    return type_coerce(column, NullType()).label(column.name)


def is_true(value: object, *, default: bool = True) -> bool:
    """Read a flag as the planner does; null is the default."""
    return default if value is None else str(value).strip().lower() in _TRUE_WORDS


def days_later(day: date, days: object) -> date | None:
    """Return the day so many days later, none earlier; None: there is none, or that is no number of days."""
    try:
        return day + timedelta(days=max(days, 0)) if isinstance(days, int) else None
    except OverflowError:
        return None


def as_text(value: object) -> str | None:
    """Return a value as the change log holds it: flags are true and false, dates ISO 8601."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case Mapping():
            return to_json(value)
        case _:
            return str(value)


def as_date(value: object) -> date | None:
    """Return the date part of what a column of dates holds; None if it has none that exists."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def to_json(value: object) -> str:
    """Return a value as JSON of one line, equal values as equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=as_text)


def read_json(value: object) -> dict[str, Any]:
    """Return what a column of JSON objects holds; nothing where it holds no object."""
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def as_stored(text: str | None, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a text as a value of a column that may be of another type, such as JSON or a timestamp."""
    return cast(literal(text, Text()), kind)


def date_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the date part of a column as text; null where it is null or blank."""
    return func.nullif(func.trim(func.substr(cast(column, Text()), 1, 10)), "")


class _TypeName(Section):
    name: CampaignTypeName


class _Names(Section):
    campaign_type: CampaignTypeName
    instance_name: CampaignInstanceName


@dataclass(frozen=True)
class TypeRow:
    """A campaign type as it is in the database.

    Attributes:
        days_before_event: Days from the email to its trigger date; negative: after it. As ``priority``, it is
            what is stored where that is no whole number: the planner refuses it, and it can be changed.
        instances: How many instances it has.
    """

    name: str
    respect_exclusion_windows: bool
    enable_followups: bool
    days_before_event: int
    target_all_contacts: bool
    priority: int
    active: bool
    instances: int


@dataclass(frozen=True)
class InstanceRow:
    """A campaign instance as it is in the database.

    Attributes:
        active_start_date, active_end_date: None: no limit, or not readable.
        metadata: What is different from the type; empty where it is not readable.
    """

    id: int
    campaign_type: str
    instance_name: str
    email_template: str | None
    sms_template: str | None
    active_start_date: date | None
    active_end_date: date | None
    metadata: dict[str, Any]
    active: bool

    @property
    def reference(self) -> str:
        """How people call it: ``type/name``."""
        return f"{self.campaign_type}/{self.instance_name}"

    def default_trigger_date(self, campaign_type: TypeRow) -> date | None:
        """Return the trigger date of targets without one (section 8 of the planning rules)."""
        own = as_date(self.metadata.get("trigger_date"))
        if own is not None or self.active_start_date is None:
            return own
        days_before = self.metadata.get("days_before_event")
        days = days_before if isinstance(days_before, int) else campaign_type.days_before_event
        return days_later(self.active_start_date, days)


def list_types(connection: Connection) -> list[TypeRow]:
    """Return all types by name."""
    query = (
        select(*map(raw, campaign_types.c), func.count(campaign_instances.c.id).label("instances"))
        .select_from(campaign_types.outerjoin(campaign_instances))
        .group_by(*campaign_types.c)
        .order_by(campaign_types.c.name)
    )
    return [_type_row(row) for row in connection.rows(query) if row["name"] is not None]


def find_type(connection: Connection, name: str) -> TypeRow:
    """Return a type.

    Raises:
        UsageError: There is none of this name.
    """
    types = list_types(connection)
    found = next((each for each in types if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in types) or "none so far"
        raise UsageError(f"campaign type {name}: there is no such type; accepted is one of: {known}")
    return found


def create_type(session: Session, name: str, settings: Mapping[str, Any]) -> TypeRow:
    """Create a type; what is not given has the defaults of the configuration.

    Raises:
        UsageError: The name or a setting is not accepted, or there is such a type already.
    """
    subject = f"campaign type {name}"
    checked(_TypeName, {"name": name}, subject)
    values = checked(CampaignType, settings, subject).model_dump()
    if any(each.name == name for each in list_types(session.connection)):
        raise UsageError(f"{subject}: there is one already; campaigns types change {name} changes it")
    session.connection.execute(
        insert(campaign_types).values(name=name, **values, created_at=session.now, updated_at=session.now)
    )
    created = find_type(session.connection, name)
    session.record([LoggedChange(CREATED, None, name, created.instances > 0, name)])
    return created


def change_type(session: Session, name: str, settings: Mapping[str, Any]) -> list[LoggedChange]:
    """Change some settings of a type, and return those that were different before.

    Raises:
        UsageError: There is no such type, or a setting is not accepted.
    """
    before = find_type(session.connection, name)
    given = checked(CampaignType, settings, f"campaign type {name}")
    changes = [
        LoggedChange(key, as_text(getattr(before, key)), as_text(value), before.instances > 0, name)
        for key, value in given.model_dump(include=given.model_fields_set).items()
        if getattr(before, key) != value
    ]
    if changes:
        values = {change.field: getattr(given, change.field) for change in changes}
        session.connection.execute(
            update(campaign_types)
            .where(campaign_types.c.name == name)
            .values(**values, updated_at=session.now)
        )
        session.record(changes)
    return changes


def _type_row(row: Mapping[str, Any]) -> TypeRow:
    defaults = CampaignType()
    values: dict[str, Any] = {}
    for field in fields(TypeRow):
        value, default = row[field.name], getattr(defaults, field.name, None)
        if isinstance(default, bool):
            values[field.name] = is_true(value, default=default)
        elif isinstance(default, int):
            values[field.name] = default if value is None else _as_number(value)
        else:
            values[field.name] = value
    return TypeRow(**values)


def _as_number(value: Any) -> Any:
    """Return a whole number, however the database spells it, and anything else as it is."""
    try:
        found = Decimal(str(value))
        return int(found) if abs(found) <= MOST and found == int(found) else value
    except (ArithmeticError, ValueError):
        return value


def list_instances(connection: Connection) -> list[InstanceRow]:
    """Return all instances by id."""
    query = select(*map(raw, campaign_instances.c)).order_by(campaign_instances.c.id)
    return [_instance_row(row) for row in connection.rows(query)]


def find_instance(connection: Connection, reference: str) -> InstanceRow:
    """Return an instance.

    Args:
        connection: To the organisation's database.
        reference: Its id, ``type/name``, or its name if no other instance has it.

    Raises:
        UsageError: There is none, or more than one.
    """
    instances = list_instances(connection)
    if re.fullmatch(r"[0-9]{1,18}", reference):
        found = [each for each in instances if each.id == int(reference)]
    else:
        found = [each for each in instances if reference in {each.reference, each.instance_name}]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{each.reference} ({each.id})" for each in found)
        raise UsageError(f"campaign instance {reference}: there are several: {names}; accepted is an id")
    known = ", ".join(each.reference for each in instances[-20:]) or "none so far"
    raise UsageError(
        f"campaign instance {reference}: there is no such instance; accepted is type/name or an id: {known}"
    )


def create_instance(
    session: Session, campaign_type: str, instance_name: str, settings: Mapping[str, Any]
) -> InstanceRow:
    """Create an instance.

    Raises:
        UsageError: A name or a setting is not accepted, there is no such type, or such an instance already.
    """
    subject = f"campaign instance {campaign_type}/{instance_name}"
    checked(_Names, {"campaign_type": campaign_type, "instance_name": instance_name}, subject)
    values = checked(CampaignInstance, settings, subject)
    find_type(session.connection, campaign_type)
    _refuse_unknown_columns(session.connection, values.metadata.audience, subject)
    taken = (campaign_type, instance_name)
    if any((each.campaign_type, each.instance_name) == taken for each in list_instances(session.connection)):
        raise UsageError(f"{subject}: there is one already; campaigns instances change changes it")
    metadata = _plain(values.metadata.model_dump(exclude_none=True))
    row = {
        **_stored(values.model_dump(exclude={_METADATA}), metadata),
        "campaign_type": campaign_type,
        "instance_name": instance_name,
        "created_at": session.now,
    }
    ((instance_id,),) = session.connection.execute(
        insert(campaign_instances).values(**row, updated_at=session.now).returning(campaign_instances.c.id)
    )
    session.record([LoggedChange(CREATED, None, instance_name, True, campaign_type, instance_id)])
    return find_instance(session.connection, str(instance_id))


def change_instance(session: Session, reference: str, settings: Mapping[str, Any]) -> list[LoggedChange]:
    """Change some settings of an instance, and return those that were different before.

    Of ``metadata``, the keys that are given count: null takes a key away, others stay.

    Raises:
        UsageError: There is no such instance, or a setting is not accepted.
    """
    before = find_instance(session.connection, reference)
    subject = f"campaign instance {before.reference}"
    given = checked(CampaignInstance, {**_NOT_CHANGED, **settings}, subject)
    values = given.model_dump(include=set(settings) - {_METADATA})
    _refuse_reversed_dates(before, values, subject)
    metadata = before.metadata
    if _METADATA in settings:
        _refuse_unknown_columns(session.connection, given.metadata.audience, subject)
        patch = _plain(given.metadata.model_dump(include=given.metadata.model_fields_set))
        metadata = {key: value for key, value in {**metadata, **patch}.items() if value is not None}
    changes = [
        _change(before, key, as_text(getattr(before, key)), as_text(value))
        for key, value in values.items()
        if getattr(before, key) != value
    ]
    if metadata != before.metadata:
        changes.append(_change(before, _METADATA, to_json(before.metadata), to_json(metadata)))
    if changes:
        names = {change.field for change in changes}
        stored = _stored({key: value for key, value in values.items() if key in names}, metadata)
        session.connection.execute(
            update(campaign_instances)
            .where(campaign_instances.c.id == before.id)
            .values(**{key: stored[key] for key in names}, updated_at=session.now)
        )
        session.record(changes)
    return changes


def _refuse_unknown_columns(connection: Connection, audience: Audience | None, subject: str) -> None:
    if audience is None:
        return
    columns = sorted(contact_columns(connection))
    problem = column_problem(audience, columns)
    if problem is not None:
        raise UsageError(f"{subject}: {problem}; contacts have the columns {', '.join(columns)}")


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata as it is when it is read again: dates are texts."""
    return read_json(to_json(metadata))


def _change(instance: InstanceRow, field: str, old: str | None, new: str | None) -> LoggedChange:
    requires = True
    if field == _METADATA:
        # what people keep there for themselves changes no plan
        with_effect = [{k: v for k, v in read_json(text).items() if k != "extra"} for text in (old, new)]
        requires = with_effect[0] != with_effect[1]
    return LoggedChange(field, old, new, requires, instance.campaign_type, instance.id)


def _refuse_reversed_dates(before: InstanceRow, values: Mapping[str, Any], subject: str) -> None:
    begin = values.get("active_start_date", before.active_start_date)
    end = values.get("active_end_date", before.active_end_date)
    is_given = "active_start_date" in values or "active_end_date" in values
    if is_given and begin is not None and end is not None and end < begin:
        raise UsageError(
            f"{subject}: active_start_date {begin}, active_end_date {end}: accepted is an end that is not"
            " before the start"
        )


def _stored(values: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the columns hold them."""
    text = to_json(metadata) if metadata else None
    return {
        **{key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()},
        _METADATA: as_stored(text, campaign_instances.c[_METADATA].type),
    }


def _instance_row(values: Mapping[str, Any]) -> InstanceRow:
    return InstanceRow(
        id=int(values["id"]),
        campaign_type=str(values["campaign_type"]),
        instance_name=str(values["instance_name"]),
        email_template=values["email_template"],
        sms_template=values["sms_template"],
        active_start_date=as_date(values["active_start_date"]),
        active_end_date=as_date(values["active_end_date"]),
        metadata=read_json(values[_METADATA]),
        active=is_true(values["active"]),
    )
