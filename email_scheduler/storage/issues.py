"""The audit of skipped contacts and ignored fields in ``contact_issues``: the issues of the last run."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.planning.frames import CONTACT_ISSUES, NO_CONTACT
from email_scheduler.planning.packing import common_codes, pack_alike
from email_scheduler.storage.arrow import read_frame
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.encoding import constant, label_column
from email_scheduler.storage.publish_run import PublishRun


def replace_issues(run: PublishRun, *, batch_rows: int = 50_000) -> bool:
    """Make ``contact_issues`` hold the issues of the plan; True if that took any writing.

    Nothing is written if the table holds these issues already; they keep the run that found them first.

    Args:
        run: The plan that is published.
        batch_rows: About how many issues one transaction removes and writes.

    Raises:
        PlannerLockedError: Another planner has taken the lock over.
    """
    issues = run.plan.issues
    CONTACT_ISSUES.check(issues)
    existing = read_frame(run.connection, CONTACT_ISSUES, "contact_issues")
    run.connection.end_reading()
    if _is_same(issues, existing):
        return False
    issues = issues.iloc[np.argsort(issues["contact_id"].to_numpy(), kind="stable")]
    contact_ids = issues["contact_id"].to_numpy()
    everybody = np.sort(np.concatenate((contact_ids, existing["contact_id"].to_numpy())))
    # each batch ends with a whole contact, and begins where the one before has ended
    lasts = np.unique(np.append(everybody[batch_rows - 1 :: batch_rows], everybody[-1]))
    firsts = np.append(np.iinfo(np.int64).min, lasts[:-1] + 1)
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        start, stop = np.searchsorted(contact_ids, first), np.searchsorted(contact_ids, last, side="right")
        rows = _encode(issues.iloc[start:stop], run.run_id)
        run.transact(partial(_replace_range, run.connection, first, last, rows))
    return True


def _replace_range(connection: Connection, first: int, last: int, rows: pa.Table) -> None:
    connection.execute(
        "DELETE FROM contact_issues WHERE coalesce(contact_id, ?) BETWEEN ? AND ?",
        (NO_CONTACT, first, last),
    )
    connection.append("contact_issues", rows)


def _is_same(issues: pd.DataFrame, existing: pd.DataFrame) -> bool:
    if len(issues) != len(existing):
        return False
    contact_ids = (issues["contact_id"].to_numpy(), existing["contact_id"].to_numpy())
    codes = [common_codes(issues[name], existing[name]) for name in ("field", "issue")]
    keys, existing_keys = pack_alike([contact_ids, *codes])
    return bool((np.sort(keys) == np.sort(existing_keys)).all())


def _encode(issues: pd.DataFrame, run_id: str) -> pa.Table:
    contact_ids = issues["contact_id"].to_numpy()
    return pa.table(
        {
            "contact_id": pa.array(contact_ids, mask=contact_ids == NO_CONTACT),
            "field": label_column(issues["field"]),
            "issue": label_column(issues["issue"]),
            "scheduler_run_id": constant(run_id, len(issues)),
        }
    )
