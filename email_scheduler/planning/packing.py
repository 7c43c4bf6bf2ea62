"""Several integer columns as one: numbers that sort and compare as the columns do, and faster."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Column = npt.NDArray[np.integer]
_Positions = npt.NDArray[np.int64]

BITS_OF_KEY = 64
# A table for ids may have so many entries for each of them.
_TABLE_PER_ID = 8


def pack(columns: Sequence[Column], bits: int = BITS_OF_KEY) -> Keys:
    """Return a number for each row, less than ``2 ** bits``, that sorts as the columns do, the first first.

    Args:
        columns: Signed integers or small unsigned ones, of one length.
        bits: How many the numbers may have; enough for the number of rows.
    """
    count = len(columns[0])
    if count == 0:
        return np.empty(0, np.uint64)
    lowest = [int(column.min()) for column in columns]
    widths = [(int(column.max()) - low).bit_length() for column, low in zip(columns, lowest, strict=True)]
    if sum(widths) > bits:
        return _ranks(columns)
    keys = np.zeros(count, np.uint64)
    for column, low, width in zip(columns, lowest, widths, strict=True):
        keys <<= np.uint64(width)
        keys |= (column - np.int64(low)).view(np.uint64)
    return keys


def width_of(keys: Keys) -> int:
    """Return how many bits the largest key has."""
    return int(keys.max(initial=0)).bit_length()


def is_among(wanted: Keys, keys: Keys) -> npt.NDArray[np.bool_]:
    """Tell which keys occur in others, which may be in any order."""
    if len(keys) == 0:
        return np.zeros(len(wanted), np.bool_)
    ascending = np.sort(keys)
    place = np.minimum(ascending.searchsorted(wanted), len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[place] == wanted
    return found


def _ranks(columns: Sequence[Column]) -> Keys:
    """Return the rank of each row among the distinct ones: for columns that are too wide for one number."""
    order = np.lexsort(columns[::-1])
    is_new = np.zeros(len(order), np.bool_)
    for column in columns:
        ordered = column[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
    ranks = np.empty(len(order), np.uint64)
    ranks[order] = np.cumsum(is_new).view(np.uint64)
    return ranks


class SortedIds:
    """Finds ids in an ascending column that holds each once: by a table where they lie close together."""

    def __init__(self, ids: npt.NDArray[np.int64]) -> None:
        self._ids = ids
        self._table: npt.NDArray[np.int32] | None = None
        if len(ids) and int(ids[-1]) - int(ids[0]) < _TABLE_PER_ID * len(ids):
            self._table = np.full(int(ids[-1] - ids[0]) + 1, -1, np.int32)
            self._table[ids - ids[0]] = np.arange(len(ids), dtype=np.int32)

    def positions(self, wanted: npt.NDArray[np.int64]) -> _Positions:
        """Return the position of each id, -1 for those that are not among the column."""
        if len(self._ids) == 0:
            return np.full(len(wanted), -1)
        if self._table is None:
            place = np.minimum(self._ids.searchsorted(wanted), len(self._ids) - 1)
            return np.where(self._ids[place] == wanted, place, -1)
        is_within = (wanted >= self._ids[0]) & (wanted <= self._ids[-1])
        place = wanted - self._ids[0]
        if not is_within.all():
            place = np.where(is_within, place, 0)
        found: _Positions = self._table[place].astype(np.int64)
        found[~is_within] = -1
        return found
