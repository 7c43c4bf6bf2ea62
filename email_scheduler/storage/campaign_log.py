"""The record of changes in campaigns: ``campaign_change_log``.

Triggers record what other programs change. Whoever records by himself, or changes what need not be recorded,
silences them for his own transaction, by a row in ``change_context`` that is gone before it ends.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from email_scheduler.storage.connection import Connection
from email_scheduler.storage.tables import campaign_change_log

# What field_changed says of rows that come and go, and of contact_campaigns.
CREATED: Final = "created"
TARGETS: Final = "targets"


@dataclass(frozen=True)
class LoggedChange:
    """One row of ``campaign_change_log``.

    Attributes:
        field: The column, ``created``, or ``targets`` for rows of ``contact_campaigns``.
        old, new: As texts; None where there is nothing. Of ``targets``, ``new`` is how many there are by what
            happened to them: ``{"added": 3}``.
        requires_rescheduling: Whether a plan may look different because of it.
        campaign_type: The type, also that of an instance.
        instance_id: None: the type itself was changed.
    """

    field: str
    old: str | None
    new: str | None
    requires_rescheduling: bool
    campaign_type: str | None
    instance_id: int | None = None


def targets_changed(counts: Mapping[str, int], campaign_type: str, instance_id: int) -> list[LoggedChange]:
    """Return the record of what happened to targets of an instance: one entry, or none if nothing did.

    Args:
        counts: How many, by what happened to them: added, moved, withdrawn, annotated.
        campaign_type: Its type.
        instance_id: The instance.
    """
    happened = {kind: count for kind, count in counts.items() if count}
    if not happened:
        return []
    requires = set(happened) != {"annotated"}
    return [LoggedChange(TARGETS, None, json.dumps(happened), requires, campaign_type, instance_id)]


def record_changes(
    connection: Connection, changes: Iterable[LoggedChange], changed_by: str, changed_at: str
) -> None:
    """Write changes to the log, within the transaction that makes them."""
    rows = [
        {
            "campaign_instance_id": change.instance_id,
            "campaign_type": change.campaign_type,
            "field_changed": change.field,
            "old_value": change.old,
            "new_value": change.new,
            "changed_at": changed_at,
            "changed_by": changed_by,
            "requires_rescheduling": change.requires_rescheduling,
        }
        for change in changes
    ]
    connection.append_rows(campaign_change_log, rows)


@contextmanager
def without_logging(connection: Connection, changed_by: str) -> Iterator[None]:
    """Keep the triggers of this transaction from recording what is changed within the block."""
    connection.execute("INSERT INTO change_context (changed_by) VALUES (?)", (changed_by,))
    yield
    connection.execute("DELETE FROM change_context")
