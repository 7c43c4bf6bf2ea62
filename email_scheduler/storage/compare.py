"""The difference between the planned rows of a database and a new plan (section 13 of the planning rules).

Both are frames of ten million rows at most. What they hold is compared by a hash of 64 bits a row: two
different rows of one occurrence share it once in 10^12 plans of that size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.chunks import chunks, side_by_side
from email_scheduler.planning.frames import DATE, EMAIL_SCHEDULES, FLAG, HASH, ID, LABEL, NO_DATE, Frame
from email_scheduler.planning.matching import Positions, match_occurrences
from email_scheduler.planning.packing import SortedIds
from email_scheduler.storage.checksums import row_hashes

Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer]

# The planned rows of a database: the statuses pre-scheduled and skipped of the planner's types. Rows of the
# older program have no ideal_send_date, and there may be several of them for one occurrence.
PLANNER_ROWS = Frame("planner rows", {"id": ID, **EMAIL_SCHEDULES.columns}, key=("id",))
# What comparing takes of them. content_hash is the hash of what EMAIL_SCHEDULES holds of a row.
EXISTING_ROWS = Frame(
    "existing rows",
    {
        "id": ID,
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "scheduled_send_date": DATE,
        "status": LABEL,
        "skip_reason": LABEL,
        "has_ideal_date": FLAG,
        "content_hash": HASH,
    },
    key=("id",),
)


@dataclass(frozen=True)
class PlanDifference:
    """What has to be written so that the planned rows there become the plan.

    Attributes:
        matches: For each row of the plan the position of the row there that stands for the same occurrence,
            -1 where there is none.
        is_changed: For each row of the plan whether it has a match with other content.
        removed: Positions of the rows there that the plan does not have, ascending.
    """

    matches: Positions
    is_changed: Flags
    removed: Positions

    @classmethod
    def of(cls, matches: Positions, content: Hashes, content_there: Hashes) -> "PlanDifference":
        """Return the difference of matched rows, by the hashes of what they hold (``row_hashes``)."""
        matched = np.flatnonzero(matches >= 0)
        is_changed = np.zeros(len(content), np.bool_)
        is_changed[matched] = content[matched] != content_there[matches[matched]]
        is_gone = np.ones(len(content_there), np.bool_)
        is_gone[matches[matched]] = False
        return cls(matches, is_changed, np.flatnonzero(is_gone))

    @property
    def added(self) -> Positions:
        """Positions in the plan of the rows that are not there yet, ascending."""
        return np.flatnonzero(self.matches < 0)

    @property
    def changed(self) -> Positions:
        """Positions in the plan of the rows that are there with other content, ascending."""
        return np.flatnonzero(self.is_changed)

    @property
    def unchanged_count(self) -> int:
        """How many rows of the plan are there already, as they are."""
        return int(np.count_nonzero((self.matches >= 0) & ~self.is_changed))


def existing_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``EXISTING_ROWS`` of ``PLANNER_ROWS``, row for row."""
    PLANNER_ROWS.check(rows)
    kept = {name: rows[name] for name in EXISTING_ROWS.columns if name in rows.columns}
    return EXISTING_ROWS.build(
        {
            **kept,
            "has_ideal_date": rows["ideal_send_date"].to_numpy() != NO_DATE,
            "content_hash": row_hashes(rows[list(EMAIL_SCHEDULES.columns)]),
        }
    )


def without_senders_rows(existing: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Return the planned rows there less those that the sending system had taken by the time of the inputs.

    Args:
        existing: ``EXISTING_ROWS``, read at another moment than the inputs.
        history: ``HISTORY_TABLE`` of the inputs.
    """
    known = SortedIds(np.sort(history["id"].to_numpy()))
    row_ids = existing["id"].to_numpy()
    is_taken = np.concatenate(
        side_by_side(lambda part: known.positions(row_ids[part]) >= 0, chunks(len(row_ids)))
    )
    return existing[~is_taken].reset_index(drop=True) if is_taken.any() else existing


def compare(planned: pd.DataFrame, existing: pd.DataFrame, content: Hashes | None = None) -> PlanDifference:
    """Compare a plan with the planned rows of the database.

    Rows are the same where their occurrence is the same (section 1). Of several rows there for one
    occurrence, which only the older program left behind, one is kept: a row with an ideal date before one
    without, then the lowest id; the others are removed.

    Args:
        planned: The plan (``EMAIL_SCHEDULES``), one row an occurrence.
        existing: The planned rows there (``EXISTING_ROWS``), in any order.
        content: The hashes of the rows of the plan, if they are known (``row_hashes``).
    """
    EMAIL_SCHEDULES.check(planned)
    EXISTING_ROWS.check(existing)
    preferred = (~existing["has_ideal_date"].to_numpy(), existing["id"].to_numpy())
    matches = match_occurrences(planned, existing, preferred)
    hashes = row_hashes(planned) if content is None else content
    return PlanDifference.of(matches, hashes, existing["content_hash"].to_numpy())
