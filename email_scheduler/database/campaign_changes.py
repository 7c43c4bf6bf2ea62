"""Changes of campaigns: making and recording them, and those that no plan has taken into account yet."""

import getpass
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import (
    Connection,
    connect,
    database_errors,
    read_frame,
    timestamp,
    utc_now,
)
from email_scheduler.database.tables import campaign_change_log
from email_scheduler.planning import (
    CAMPAIGN_CHANGES,
    ID,
    LABEL,
    NUMBER,
    Frame,
    PlanDifference,
    Positions,
)

# What field_changed says of rows that come and go, and of contact_campaigns.
CREATED: Final = "created"
TARGETS: Final = "targets"
# What it says of a backup that was brought back: of all campaigns, and of no one type or instance.
RESTORED: Final = "restored"
PENDING_SQL: Final = "coalesce(requires_rescheduling, FALSE) AND processed_run_id IS NULL"
# What a run altered in the emails that a change is about: those of its instance, or of all instances of its
# type; of a backup that was brought back, those of all campaigns. Changes of one instance share its figures.
CHANGE_EFFECTS: Final = Frame(
    "change effects",
    {
        "id": ID,
        "campaign_instance_id": ID,
        "campaign_type": LABEL,
        "field_changed": LABEL,
        "contacts": NUMBER,
        "added": NUMBER,
        "changed": NUMBER,
        "removed": NUMBER,
    },
    key=("id",),
)
ALTERATIONS: Final = ("added", "changed", "removed")
_STAGED: Final = "planner_seen_changes"


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


def read_campaign_changes(connection: Connection) -> pd.DataFrame:
    """Read ``CAMPAIGN_CHANGES``, at the moment at which ``connection`` reads everything."""
    changes = read_frame(
        connection,
        CAMPAIGN_CHANGES,
        f"campaign_change_log WHERE ({PENDING_SQL})"  # noqa: S608
        " OR id = (SELECT max(id) FROM campaign_change_log)",
        sql={"is_pending": PENDING_SQL},
    )
    return changes.sort_values("id", ignore_index=True)


def stamp_changes(
    connection: Connection, run_id: str, changes: pd.DataFrame, *, replaces_newer: bool = False
) -> None:
    """Note which changes a plan has taken into account, in the transaction that completes its run.

    Another run may have published a plan meanwhile that was made from a later state, and this one takes its
    place. What the other one had seen beyond this one becomes pending again.

    Args:
        connection: In a transaction.
        run_id: The run that published the plan.
        changes: ``CAMPAIGN_CHANGES`` as they were when its inputs were read.
        replaces_newer: That the plan takes the place of a newer one is meant: nothing becomes pending again.
    """
    seen = changes.loc[changes["is_pending"], "id"].to_numpy()
    if len(seen):
        connection.stage(_STAGED, pa.table({"id": pa.array(seen)}), "campaign_change_log")
        connection.execute(
            "UPDATE campaign_change_log SET processed_run_id = ?"  # noqa: S608
            f" WHERE processed_run_id IS NULL AND id IN (SELECT id FROM {_STAGED})",
            (run_id,),
        )
    if not replaces_newer:
        connection.execute(
            "UPDATE campaign_change_log SET processed_run_id = NULL"
            " WHERE id > ? AND processed_run_id IS NOT NULL AND coalesce(requires_rescheduling, FALSE)",
            (int(changes["id"].max()) if len(changes) else 0,),
        )


def change_effects(
    changes: pd.DataFrame,
    planned: pd.DataFrame,
    existing: pd.DataFrame,
    difference: PlanDifference,
    campaign_instances: pd.DataFrame,
) -> pd.DataFrame:
    """Return what publishing a plan alters for each change that it has taken into account.

    Args:
        changes: ``CAMPAIGN_CHANGES``.
        planned: The plan (``EMAIL_SCHEDULES``).
        existing: The planned rows there (``EXISTING_ROWS``).
        difference: Between the two.
        campaign_instances: ``CAMPAIGN_INSTANCES_TABLE``.

    Returns:
        ``CHANGE_EFFECTS`` of the pending changes, by id.
    """
    pending = changes[changes["is_pending"]]
    if pending.empty:
        return CHANGE_EFFECTS.empty()
    altered = _altered_rows(planned, existing, difference)
    type_of = dict(
        zip(campaign_instances["id"], campaign_instances["campaign_type"].astype("str"), strict=True)
    )
    by_instance = _figures(altered, altered["campaign_instance_id"])
    by_type = _figures(altered, altered["campaign_instance_id"].map(type_of))
    is_of_instance = (pending["campaign_instance_id"] != 0).to_numpy()
    of_instance = by_instance.reindex(pending["campaign_instance_id"], fill_value=0)
    of_type = by_type.reindex(pending["campaign_type"].astype("str"), fill_value=0)
    of_all = _figures(altered, pd.Series(0, altered.index)).reindex([0], fill_value=0).iloc[0]
    is_of_all = (pending["field_changed"] == RESTORED).to_numpy()
    figures = {
        name: np.select([is_of_instance, is_of_all], [of_instance[name], of_all[name]], of_type[name]).astype(
            np.int32
        )
        for name in ("contacts", *ALTERATIONS)
    }
    kept = {name: pending[name].array for name in CHANGE_EFFECTS.columns if name in pending.columns}
    return CHANGE_EFFECTS.build({**kept, **figures})


def _altered_rows(planned: pd.DataFrame, existing: pd.DataFrame, difference: PlanDifference) -> pd.DataFrame:
    parts = [
        _part(planned, difference.added, "added"),
        _part(planned, difference.changed, "changed"),
        _part(existing, difference.removed, "removed"),
    ]
    rows = pd.concat(parts, ignore_index=True)
    return rows[rows["campaign_instance_id"] != 0]


def _part(rows: pd.DataFrame, positions: Positions, kind: str) -> pd.DataFrame:
    part = {name: rows[name].to_numpy()[positions] for name in ("contact_id", "campaign_instance_id")}
    return pd.DataFrame({**part, "kind": np.full(len(positions), ALTERATIONS.index(kind), np.int8)})


def _figures(altered: pd.DataFrame, owner: pd.Series) -> pd.DataFrame:
    """Return contacts, and rows by what happened to them, of each owner."""
    grouped = altered.groupby(owner)
    figures = {name: (altered["kind"] == code).groupby(owner).sum() for code, name in enumerate(ALTERATIONS)}
    return pd.DataFrame({"contacts": grouped["contact_id"].nunique(), **figures})


def current_user() -> str:
    """Return the operating system's user, who is on record where nobody else is named."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container's process may run under a number that has no name
        return "unknown"


@dataclass(frozen=True)
class Session:
    """A transaction that changes campaigns and records what it changes.

    Attributes:
        connection: In the transaction.
        changed_by: Who changes.
        now: When, as it is stored.
    """

    connection: Connection
    changed_by: str
    now: str

    def record(self, changes: Iterable[LoggedChange]) -> None:
        """Write changes to ``campaign_change_log``."""
        record_changes(self.connection, changes, self.changed_by, self.now)


@contextmanager
def connected(url: str, config: SchedulerConfig, *, is_bulky: bool = False) -> Iterator[Connection]:
    """Open a connection for the block.

    Args:
        url: The organisation's database.
        config: Its configuration.
        is_bulky: Temporary tables may grow large: they go to the disk.

    Raises:
        DatabaseError: The database cannot be opened, read or written.
    """
    if is_bulky:
        pragmas = config.database.sqlite_optimizations.model_copy(update={"temp_store": "FILE"})
        database = config.database.model_copy(update={"sqlite_optimizations": pragmas})
        config = config.model_copy(update={"database": database})
    with database_errors(url), connect(url, config) as connection:
        yield connection


@contextmanager
def transaction(connection: Connection, changed_by: str, *, is_dry_run: bool = False) -> Iterator[Session]:
    """Change campaigns in one transaction: all of the block and its record, or nothing.

    Args:
        connection: Not in a transaction.
        changed_by: Who changes.
        is_dry_run: Take everything back at the end.
    """
    with connection.transaction(is_dry_run=is_dry_run), without_logging(connection, changed_by):
        yield Session(connection, changed_by, timestamp(utc_now()))


@contextmanager
def changing(
    url: str, config: SchedulerConfig, changed_by: str, *, is_dry_run: bool = False
) -> Iterator[Session]:
    """Open a connection and change campaigns in one transaction; see ``transaction``.

    Raises:
        DatabaseError: The database cannot be opened, read or written; nothing was changed.
    """
    with (
        connected(url, config) as connection,
        transaction(connection, changed_by, is_dry_run=is_dry_run) as session,
    ):
        yield session
