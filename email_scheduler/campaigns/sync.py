"""Bringing the campaigns of the database to what ``campaigns.yaml`` says."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from email_scheduler.campaigns.catalogue import (
    change_instance,
    change_type,
    create_instance,
    create_type,
    list_instances,
    list_types,
)
from email_scheduler.config import SchedulerConfig
from email_scheduler.database import LoggedChange, Session
from email_scheduler.errors import UsageError


@dataclass(frozen=True)
class Difference:
    """One line of what syncing changes.

    Attributes:
        what: ``type`` or ``instance``.
        name: Of the type, or ``type/name``.
        field: None: it is created.
        old, new: The field before and after.
    """

    what: str
    name: str
    field: str | None = None
    old: str | None = None
    new: str | None = None


@dataclass(frozen=True)
class SyncResult:
    """What syncing changed, or would change.

    Attributes:
        differences: In the order of the file.
        only_in_database: Types and instances that the file does not name; they stay as they are.
    """

    differences: list[Difference]
    only_in_database: list[str]


def sync(session: Session, config: SchedulerConfig) -> SyncResult:
    """Create what the configuration names and the database has not got, change what is different.

    Only keys that are written count: what the file does not say of a type or an instance that is there stays.
    Nothing is removed.

    Raises:
        UsageError: An instance is of a type that neither the file nor the database has.
    """
    differences = [*_sync_types(session, config), *_sync_instances(session, config)]
    named = set(_written_types(config)) | {
        f"{campaign_type}/{name}" for campaign_type, name in _written_instances(config)
    }
    present = [each.name for each in list_types(session.connection)]
    present += [each.reference for each in list_instances(session.connection)]
    return SyncResult(differences, [name for name in present if name not in named])


def _written_types(config: SchedulerConfig) -> list[str]:
    # a file without the section says nothing about types
    return list(config.campaign_types) if "campaign_types" in config.model_fields_set else []


def _written_instances(config: SchedulerConfig) -> Iterator[tuple[str, str]]:
    for campaign_type, instances in config.campaign_instances.items():
        for name in instances:
            yield campaign_type, name


def _sync_types(session: Session, config: SchedulerConfig) -> Iterator[Difference]:
    present = {each.name for each in list_types(session.connection)}
    for name in _written_types(config):
        written = config.campaign_types[name].model_dump(exclude_unset=True)
        if name in present:
            yield from _changed("type", name, change_type(session, name, written))
        else:
            create_type(session, name, written)
            yield Difference("type", name)


def _sync_instances(session: Session, config: SchedulerConfig) -> Iterator[Difference]:
    types = {each.name for each in list_types(session.connection)}
    present = {each.reference for each in list_instances(session.connection)}
    for campaign_type, name in _written_instances(config):
        reference = f"{campaign_type}/{name}"
        written = config.campaign_instances[campaign_type][name].model_dump(exclude_unset=True)
        if campaign_type not in types:
            raise UsageError(
                f"campaign_instances.{campaign_type}: there is no such type; accepted is one of the file,"
                f" or of the database: {', '.join(sorted(types)) or 'none so far'}"
            )
        if reference in present:
            yield from _changed("instance", reference, change_instance(session, reference, written))
        else:
            create_instance(session, campaign_type, name, written)
            yield Difference("instance", reference)


def _changed(what: str, name: str, changes: Iterable[LoggedChange]) -> Iterator[Difference]:
    for change in changes:
        yield Difference(what, name, change.field, change.old, change.new)
