"""Changes of campaigns that no plan has taken into account yet, and what becomes of them.

They are read at the same moment as the inputs of a plan. Publishing it stamps exactly those: what was changed
while the plan was made waits for the next one.
"""

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.planning.frames import FLAG, ID, LABEL, NUMBER, Frame
from email_scheduler.planning.matching import Positions
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.compare import PlanDifference
from email_scheduler.storage.connection import Connection

PENDING_SQL: Final = "coalesce(requires_rescheduling, FALSE) AND processed_run_id IS NULL"

# The changes that a plan has to take into account (is_pending), and the last one of the log in any case.
# campaign_instance_id is 0 where the type itself was changed.
CAMPAIGN_CHANGES: Final = Frame(
    "campaign changes",
    {
        "id": ID,
        "campaign_instance_id": ID,
        "campaign_type": LABEL,
        "field_changed": LABEL,
        "is_pending": FLAG,
    },
    key=("id",),
    order=("id",),
)
# What a run altered in the emails that a change is about: those of its instance, or of all instances of its
# type. Changes of one instance share its figures.
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
    figures = {
        name: np.where(is_of_instance, of_instance[name], of_type[name]).astype(np.int32)
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
