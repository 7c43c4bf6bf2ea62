"""Emails that the sending system took while a plan was made (section 13 of the planning rules).

Their rows stay, and what the plan has for the same occurrence is dropped.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.frames import HISTORY, HISTORY_TABLE, ID, Frame, PlanInputs
from email_scheduler.planning.history import read_history
from email_scheduler.planning.packing import is_among
from email_scheduler.storage.arrow import append_rows, read_frame
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.tables import SENDER_ROW_SQL, SENDER_ROWS_INDEX

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]

_IDS: Final = Frame("ids", {"id": ID})
# Ids in one statement, which SQLite limits to a million characters.
_IDS_AT_A_TIME: Final = 10_000


@dataclass(frozen=True)
class TakenRows:
    """The sender's rows that the plan does not know of, as they were at one moment.

    Attributes:
        known_ids: The rows that the plan was made from, ascending.
        rows: ``HISTORY``: the sender's rows that are not among them.
        version: Changes when another connection writes to the database; None where that cannot be known.
    """

    known_ids: Ids
    rows: pd.DataFrame
    version: int | None

    @classmethod
    def read(cls, connection: Connection, inputs: PlanInputs) -> "TakenRows":
        """Read them for all contacts, within the transaction of ``connection``."""
        known_ids = np.sort(inputs.history["id"].to_numpy())
        source = f"email_schedules{connection.indexed_by(SENDER_ROWS_INDEX)} WHERE {SENDER_ROW_SQL}"
        ids = np.sort(read_frame(connection, _IDS, source)["id"].to_numpy())
        new_ids = ids[:0] if np.array_equal(ids, known_ids) else ids[~is_among(ids, known_ids)]
        return cls(known_ids, _read_rows(connection, "id", new_ids), connection.version())

    def of_contacts(self, connection: Connection, contact_ids: Ids) -> pd.DataFrame:
        """Return those of some contacts as they are now, within a transaction; until it ends none is added.

        Args:
            connection: The connection that ``read`` used: the version only counts for one connection.
            contact_ids: Ascending, each once.
        """
        connection.lock_contacts(contact_ids.tolist())
        if self.version is not None and connection.version() == self.version:
            return self.rows[is_among(self.rows["contact_id"].to_numpy(), contact_ids)]
        rows = _read_rows(connection, "contact_id", contact_ids)
        return rows[~is_among(rows["id"].to_numpy(), self.known_ids)]


def positions_of(sorted_ids: Ids, wanted_ids: Ids) -> Positions:
    """Return where ids stand in a column that is sorted by them and may repeat them, ascending.

    Args:
        sorted_ids: Ascending.
        wanted_ids: Ascending, each once.
    """
    starts = np.searchsorted(sorted_ids, wanted_ids, side="left")
    counts = np.searchsorted(sorted_ids, wanted_ids, side="right") - starts
    offsets = np.cumsum(counts) - counts
    positions: Positions = np.repeat(starts - offsets, counts) + np.arange(counts.sum())
    return positions


def _read_rows(connection: Connection, column: str, ids: Ids) -> pd.DataFrame:
    """Read the sender's rows whose ``column`` is one of ``ids``."""
    parts = []
    for start in range(0, len(ids), _IDS_AT_A_TIME):
        wanted = ", ".join(map(str, ids[start : start + _IDS_AT_A_TIME].tolist()))
        source = f"email_schedules WHERE {column} IN ({wanted}) AND {SENDER_ROW_SQL}"
        parts.append(read_history(read_frame(connection, HISTORY_TABLE, source)))
    return HISTORY.check(append_rows(parts)) if parts else HISTORY.empty()
