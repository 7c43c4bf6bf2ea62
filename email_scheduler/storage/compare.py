"""The difference between the planned rows of a database and a new plan (section 13 of the planning rules).

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

from email_scheduler.planning.chunks import chunks, side_by_side
from email_scheduler.planning.frames import DATE, EMAIL_SCHEDULES, FLAG, HASH, ID, LABEL, NO_DATE, Frame
from email_scheduler.planning.packing import SortedIds
from email_scheduler.storage.checksums import row_hashes

Positions = npt.NDArray[np.intp]
# Of half the size, where there are many of them.
_SmallPositions = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer]
Codes = npt.NDArray[np.int32]

# Rows of the plan that are looked for at a time.
_ROWS_AT_A_TIME: Final = 1 << 19

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

# What an occurrence is (section 1), apart from follow-ups, which their initial email identifies.
_OCCURRENCE = ("email_type", "campaign_instance_id", "event_date")


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
    matches = np.full(len(planned), -1, np.intp)

    def match(part: tuple[_SmallPositions, _SmallPositions]) -> None:
        in_plan, in_table = part
        found = _find(planned, in_plan, existing, in_table)
        is_found = found >= 0
        matches[in_plan[is_found]] = in_table[found[is_found]]

    side_by_side(match, _parts(planned, existing))
    matched = np.flatnonzero(matches >= 0)
    is_changed = np.zeros(len(planned), np.bool_)
    if len(matched):
        hashes = row_hashes(planned) if content is None else content
        is_changed[matched] = hashes[matched] != existing["content_hash"].to_numpy()[matches[matched]]
    is_gone = np.ones(len(existing), np.bool_)
    is_gone[matches[matched]] = False
    return PlanDifference(matches, is_changed, np.flatnonzero(is_gone))


def common_codes(left: pd.Series, right: pd.Series) -> tuple[Codes, Codes]:
    """Return codes for two label columns: equal codes mean equal labels, -1 means a missing one."""
    known = left.cat.categories.astype("str")
    others = right.cat.categories.astype("str")
    translation = known.get_indexer(others)
    translation = np.where(translation >= 0, translation, len(known) + np.arange(len(others)))
    with_missing = np.append(translation, -1).astype(np.int32)
    return left.cat.codes.to_numpy().astype(np.int32), with_missing[right.cat.codes.to_numpy()]


def pack_keys(
    columns: Sequence[tuple[Integers, Integers]],
) -> tuple[Keys, Keys]:
    """Turn some integer columns of two frames into one number a row, in a way common to both.

    Equal numbers mean equal rows, and the numbers are in the order of the columns.

    Args:
        columns: For each column, the most significant first, its values in the one frame and in the other.
    """
    left, right, bits = np.zeros(len(columns[0][0]), np.uint64), np.zeros(len(columns[0][1]), np.uint64), 0
    for values, other_values in columns:
        low, other_low, width = _from_zero(values, other_values)
        if bits + width > 64:
            left, right, bits = _ranks(left, right)
        if bits + width > 64:
            low, other_low, width = _ranks(low, other_low)
        if bits == 0:
            left, right = low, other_low
        elif width > 0:
            left = (left << np.uint64(width)) | low
            right = (right << np.uint64(width)) | other_low
        bits += width
    return left, right


def _from_zero(left: Integers, right: Integers) -> tuple[Keys, Keys, int]:
    """Shift both columns so that the least value is 0; the last result is the bits of the greatest."""
    ends = [int(end) for values in (left, right) if len(values) for end in (values.min(), values.max())]
    lowest, highest = min(ends, default=0), max(ends, default=0)
    start = np.int64(lowest).astype(np.uint64)
    # ids may span more than int64 can tell apart, differences modulo 2^64 cannot
    shifted = [values.astype(np.int64).view(np.uint64) - start for values in (left, right)]
    return shifted[0], shifted[1], (highest - lowest).bit_length()


def _ranks(left: Keys, right: Keys) -> tuple[Keys, Keys, int]:
    """Replace each value by its rank among the values of both columns; the last result is its bits."""
    values = np.unique(np.concatenate((left, right)))
    ranks = [np.searchsorted(values, keys).astype(np.uint64) for keys in (left, right)]
    return ranks[0], ranks[1], max(len(values) - 1, 0).bit_length()


def _parts(
    planned: pd.DataFrame, existing: pd.DataFrame
) -> Iterator[tuple[_SmallPositions, _SmallPositions]]:
    """Return positions in the plan and in the table so that rows of one occurrence are in one pair.

    Follow-ups are a pair of their own, since they are found by their initial email; the other rows are in
    pairs of some contacts each, which fit the processor's cache.
    """
    (in_plan, follow_ups), (in_table, existing_follow_ups) = _by_kind(planned), _by_kind(existing)
    yield follow_ups, existing_follow_ups
    contacts = planned["contact_id"].to_numpy()
    first_contacts = np.unique(contacts[in_plan[_ROWS_AT_A_TIME::_ROWS_AT_A_TIME]])
    yield from zip(
        _by_contact(in_plan, contacts, first_contacts),
        _by_contact(in_table, existing["contact_id"].to_numpy(), first_contacts),
        strict=True,
    )


def _by_kind(rows: pd.DataFrame) -> tuple[_SmallPositions, _SmallPositions]:
    """Return the positions of the rows that are no follow-ups, and of those that are."""
    is_follow_up = rows["initial_email_id"].to_numpy() != 0
    rest, follow_ups = (np.flatnonzero(kind).astype(np.int32) for kind in (~is_follow_up, is_follow_up))
    return rest, follow_ups


def _by_contact(
    positions: _SmallPositions, contacts: Integers, first_contacts: Integers
) -> list[_SmallPositions]:
    """Split positions by their contacts: those before the first of ``first_contacts``, and so on."""
    # small numbers are sorted by counting them
    part = first_contacts.searchsorted(contacts, side="right").astype(np.uint16)[positions]
    ends = np.bincount(part, minlength=len(first_contacts) + 1).cumsum()
    parts: list[_SmallPositions] = np.split(positions[np.argsort(part, kind="stable")], ends[:-1])
    return parts


def _find(
    planned: pd.DataFrame, in_plan: _SmallPositions, existing: pd.DataFrame, in_table: _SmallPositions
) -> Positions:
    """Return for each row of ``in_plan`` the index in ``in_table`` of the row with its occurrence, or -1."""
    if len(in_plan) == 0 or len(in_table) == 0:
        return np.full(len(in_plan), -1, np.intp)
    keys, other_keys = pack_keys(_key_columns(planned, in_plan, existing, in_table))
    order = np.argsort(other_keys, kind="stable")
    sorted_keys = other_keys[order]
    if (sorted_keys[1:] == sorted_keys[:-1]).any():
        is_older = ~existing["has_ideal_date"].to_numpy()[in_table]
        order = np.lexsort((existing["id"].to_numpy()[in_table], is_older, other_keys))
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
    planned: pd.DataFrame, in_plan: _SmallPositions, existing: pd.DataFrame, in_table: _SmallPositions
) -> list[tuple[Integers, Integers]]:
    is_follow_up = bool(planned["initial_email_id"].to_numpy()[in_plan[0]] != 0)
    names = ("initial_email_id",) if is_follow_up else ("contact_id", *_OCCURRENCE)
    columns: list[tuple[Integers, Integers]] = []
    for name in names:
        if EMAIL_SCHEDULES.columns[name] == LABEL:
            columns.append(common_codes(planned[name].iloc[in_plan], existing[name].iloc[in_table]))
        else:
            columns.append((planned[name].to_numpy()[in_plan], existing[name].to_numpy()[in_table]))
    return columns
