"""Which row is about which occurrence, and how two plans differ (sections 1 and 13 of the planning rules).

Both are frames of ten million rows at most. Rows are found by packed integer keys, and what they hold is
compared by a hash of 64 bits each: two different rows of one occurrence share it once in 10^12 plans of that
size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.columns import (
    Column,
    SortedIds,
    chunks,
    common_codes,
    pack_alike,
    row_hashes,
    side_by_side,
)
from email_scheduler.planning.frames import DATE, EMAIL_SCHEDULES, FLAG, HASH, ID, LABEL, NO_DATE, Frame

Positions = npt.NDArray[np.intp]
# Of half the size, where there are many of them.
_SmallPositions = npt.NDArray[np.int32]
# Rows that are looked for at a time.
_ROWS_AT_A_TIME: Final = 1 << 19
# What an occurrence is. A follow-up is known by its initial email alone: what its contact does may change its
# type.
_OCCURRENCE: Final = ("contact_id", "email_type", "campaign_instance_id", "event_date")
_FOLLOW_UP: Final = ("initial_email_id",)
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


def match_occurrences(
    rows: pd.DataFrame, others: pd.DataFrame, preferred: Sequence[npt.NDArray[np.generic]] = ()
) -> Positions:
    """Return for each row the position of the other row that stands for the same occurrence, -1: none.

    Args:
        rows: The key of ``EMAIL_SCHEDULES``, one row an occurrence, in any order.
        others: The same of other rows. There may be several for one occurrence.
        preferred: Columns of ``others`` that say which of several comes first, the first of them first: those
            with the least values.
    """
    matches = np.full(len(rows), -1, np.intp)

    def match(part: tuple[_SmallPositions, _SmallPositions]) -> None:
        at, others_at = part
        found = _find(rows, at, others, others_at, preferred)
        is_found = found >= 0
        matches[at[is_found]] = others_at[found[is_found]]

    side_by_side(match, _parts(rows, others))
    return matches


def _parts(rows: pd.DataFrame, others: pd.DataFrame) -> Iterator[tuple[_SmallPositions, _SmallPositions]]:
    """Return positions in both frames so that rows of one occurrence are in one pair.

    Follow-ups are a pair of their own, since they are found by their initial email; the other rows are in
    pairs of some contacts each, which fit the processor's cache.
    """
    (rest, follow_ups), (others_rest, other_follow_ups) = _by_kind(rows), _by_kind(others)
    yield follow_ups, other_follow_ups
    contacts = rows["contact_id"].to_numpy()
    first_contacts = np.unique(contacts[rest[_ROWS_AT_A_TIME::_ROWS_AT_A_TIME]])
    yield from zip(
        _by_contact(rest, contacts, first_contacts),
        _by_contact(others_rest, others["contact_id"].to_numpy(), first_contacts),
        strict=True,
    )


def _by_kind(rows: pd.DataFrame) -> tuple[_SmallPositions, _SmallPositions]:
    """Return the positions of the rows that are no follow-ups, and of those that are."""
    is_follow_up = rows["initial_email_id"].to_numpy() != 0
    rest, follow_ups = (np.flatnonzero(kind).astype(np.int32) for kind in (~is_follow_up, is_follow_up))
    return rest, follow_ups


def _by_contact(
    positions: _SmallPositions, contacts: Column, first_contacts: Column
) -> list[_SmallPositions]:
    """Split positions by their contacts: those before the first of ``first_contacts``, and so on."""
    # small numbers are sorted by counting them
    part = first_contacts.searchsorted(contacts, side="right").astype(np.uint16)[positions]
    ends = np.bincount(part, minlength=len(first_contacts) + 1).cumsum()
    parts: list[_SmallPositions] = np.split(positions[np.argsort(part, kind="stable")], ends[:-1])
    return parts


def _find(
    rows: pd.DataFrame,
    at: _SmallPositions,
    others: pd.DataFrame,
    others_at: _SmallPositions,
    preferred: Sequence[npt.NDArray[np.generic]],
) -> Positions:
    """Return for each of some rows the index in ``others_at`` of the row with its occurrence, or -1."""
    if len(at) == 0 or len(others_at) == 0:
        return np.full(len(at), -1, np.intp)
    keys, other_keys = pack_alike(_key_columns(rows, at, others, others_at))
    order = np.argsort(other_keys, kind="stable")
    sorted_keys = other_keys[order]
    if preferred and (sorted_keys[1:] == sorted_keys[:-1]).any():
        order = np.lexsort((*(column[others_at] for column in reversed(preferred)), other_keys))
        sorted_keys = other_keys[order]
    del other_keys
    place = np.searchsorted(sorted_keys, keys)
    np.minimum(place, len(sorted_keys) - 1, out=place)
    is_other = sorted_keys[place] != keys
    del keys, sorted_keys
    found: Positions = order[place]
    found[is_other] = -1
    return found


def _key_columns(
    rows: pd.DataFrame, at: _SmallPositions, others: pd.DataFrame, others_at: _SmallPositions
) -> list[tuple[Column, Column]]:
    is_follow_up = bool(rows["initial_email_id"].to_numpy()[at[0]] != 0)
    columns: list[tuple[Column, Column]] = []
    for name in _FOLLOW_UP if is_follow_up else _OCCURRENCE:
        if EMAIL_SCHEDULES.columns[name] == LABEL:
            columns.append(common_codes(rows[name].iloc[at], others[name].iloc[others_at]))
        else:
            columns.append((rows[name].to_numpy()[at], others[name].to_numpy()[others_at]))
    return columns


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
