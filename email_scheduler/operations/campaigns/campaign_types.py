"""Campaign types: looking at them, creating and changing them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from email_scheduler.config.schema import CampaignType
from email_scheduler.config.values import CampaignTypeName, Section
from email_scheduler.errors import UsageError
from email_scheduler.operations.campaigns.session import Session
from email_scheduler.operations.campaigns.values import as_text, checked, is_true, raw
from email_scheduler.storage.campaign_log import CREATED, LoggedChange
from email_scheduler.storage.tables import campaign_instances, campaign_types


class _Name(Section):
    name: CampaignTypeName


@dataclass(frozen=True)
class TypeRow:
    """A campaign type as it is in the database.

    Attributes:
        days_before_event: Days from the email to its trigger date; negative: after it.
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


SETTINGS = tuple(CampaignType.model_fields)


def list_types(connection: Connection) -> list[TypeRow]:
    """Return all types by name."""
    query = (
        select(*(raw(column) for column in campaign_types.c), func.count(campaign_instances.c.id))
        .select_from(campaign_types.outerjoin(campaign_instances))
        .group_by(*campaign_types.c)
        .order_by(campaign_types.c.name)
    )
    names = [*campaign_types.c.keys(), "instances"]
    return [
        _row(dict(zip(names, row, strict=True))) for row in connection.execute(query) if row[0] is not None
    ]


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
    checked(_Name, {"name": name}, subject)
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


def _row(row: Mapping[str, Any]) -> TypeRow:
    defaults = CampaignType()
    values: dict[str, Any] = {}
    for field in fields(TypeRow):
        value, default = row[field.name], getattr(defaults, field.name, None)
        if isinstance(default, bool):
            values[field.name] = is_true(value, default=default)
        elif isinstance(default, int):
            values[field.name] = default if value is None else int(value)
        else:
            values[field.name] = value
    return TypeRow(**values)
