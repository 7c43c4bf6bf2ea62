"""Which row is about which occurrence (section 1 of the planning rules), in two frames."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.chunks import side_by_side
from email_scheduler.planning.frames import EMAIL_SCHEDULES, LABEL
from email_scheduler.planning.packing import Column, common_codes, pack_alike

Positions = npt.NDArray[np.intp]
# Of half the size, where there are many of them.
_SmallPositions = npt.NDArray[np.int32]

# Rows that are looked for at a time.
_ROWS_AT_A_TIME: Final = 1 << 19

# What an occurrence is. A follow-up is known by its initial email alone: what its contact does may change its
# type.
_OCCURRENCE: Final = ("contact_id", "email_type", "campaign_instance_id", "event_date")
_FOLLOW_UP: Final = ("initial_email_id",)


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
