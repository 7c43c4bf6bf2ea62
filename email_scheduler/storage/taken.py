"""Emails that the sending system took while a plan was made (section 13 of the planning rules).

Their rows stay, and what the plan has for the same occurrence is dropped.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.campaign_instances import read_instances
from email_scheduler.planning.frames import HISTORY, HISTORY_TABLE, ID, Frame, PlanInputs
from email_scheduler.planning.handled import ANY_DAY, THAT_DAY, THAT_YEAR, is_handled
from email_scheduler.planning.history import has_type, read_history
from email_scheduler.planning.registry.email_types import FOLLOW_UP_PREFIX
from email_scheduler.storage.arrow import append_rows, read_frame
from email_scheduler.storage.compare import pack_keys
from email_scheduler.storage.connection import Connection
from email_scheduler.storage.tables import SENDER_ROW_SQL, SENDER_ROWS_INDEX

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

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
        new_ids = ids[:0] if np.array_equal(ids, known_ids) else ids[~_is_among(ids, known_ids)]
        return cls(known_ids, _read_rows(connection, "id", new_ids), connection.version())

    def of_contacts(self, connection: Connection, contact_ids: Ids) -> pd.DataFrame:
        """Return those of some contacts as they are now, within a transaction; until it ends none is added.

        Args:
            connection: The connection that ``read`` used: the version only counts for one connection.
            contact_ids: Ascending, each once.
        """
        connection.lock_contacts(contact_ids.tolist())
        if self.version is not None and connection.version() == self.version:
            return self.rows[_is_among(self.rows["contact_id"].to_numpy(), contact_ids)]
        rows = _read_rows(connection, "contact_id", contact_ids)
        return rows[~_is_among(rows["id"].to_numpy(), self.known_ids)]


def is_answered(
    schedules: pd.DataFrame,
    taken: pd.DataFrame,
    targets: pd.DataFrame,
    yearly: Collection[int],
    config: SchedulerConfig,
) -> Flags:
    """Tell which rows of a plan the sending system has made needless.

    An anniversary or campaign email, if a row that it took answers the occurrence, be it for a date that was
    corrected since (section 1, "handled"). A follow-up, if it took a follow-up to the same contact
    (section 10).

    Args:
        schedules: ``EMAIL_SCHEDULES``.
        taken: ``HISTORY``: the rows that it took.
        targets: ``CONTACT_CAMPAIGNS_TABLE``, as the plan knew it.
        yearly: Campaign instances whose implicit targets get an email each year (``yearly_instances``).
        config: The organisation's configuration.
    """
    is_follow_up = schedules["initial_email_id"].to_numpy() != 0
    follow_ups = taken[has_type(taken, FOLLOW_UP_PREFIX)]
    answered: Flags = is_follow_up & np.isin(schedules["contact_id"], follow_ups["contact_id"])
    others = schedules[~is_follow_up]
    is_implicit = _is_implicit(others, targets)
    is_yearly = np.isin(others["campaign_instance_id"], list(yearly))
    tolerance = np.where(is_implicit, np.where(is_yearly, THAT_YEAR, ANY_DAY), THAT_DAY).astype(np.int32)
    answered[~is_follow_up] = is_handled(others, taken, config.aep_config.default_dates, tolerance)
    return answered


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


def yearly_instances(inputs: PlanInputs) -> list[int]:
    """Return the campaign instances whose implicit targets get an email each year, for an anniversary."""
    instances = read_instances(inputs.campaign_types, inputs.campaign_instances).values()
    return [each.id for each in instances if each.is_yearly]


def _is_implicit(schedules: pd.DataFrame, targets: pd.DataFrame) -> Flags:
    """Tell which campaign emails are for contacts without a row for the instance (section 8)."""
    targets = targets[np.isin(targets["contact_id"], schedules["contact_id"])]
    columns = [
        (schedules[name].to_numpy(), targets[name].to_numpy())
        for name in ("contact_id", "campaign_instance_id")
    ]
    keys, target_keys = pack_keys(columns)
    is_implicit: Flags = (schedules["campaign_instance_id"].to_numpy() != 0) & ~np.isin(keys, target_keys)
    return is_implicit


def _is_among(ids: Ids, sorted_ids: Ids) -> Flags:
    if len(sorted_ids) == 0:
        return np.zeros(len(ids), np.bool_)
    place = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    found: Flags = sorted_ids[place] == ids
    return found


def _read_rows(connection: Connection, column: str, ids: Ids) -> pd.DataFrame:
    """Read the sender's rows whose ``column`` is one of ``ids``."""
    parts = []
    for start in range(0, len(ids), _IDS_AT_A_TIME):
        wanted = ", ".join(map(str, ids[start : start + _IDS_AT_A_TIME].tolist()))
        source = f"email_schedules WHERE {column} IN ({wanted}) AND {SENDER_ROW_SQL}"
        parts.append(read_history(read_frame(connection, HISTORY_TABLE, source)))
    return HISTORY.check(append_rows(parts)) if parts else HISTORY.empty()
