"""Rows as numbers: packed keys, ``stable_hash`` (section 14 of the planning rules), and checksums.

Packed keys sort and compare as their columns do, and faster. Frames with the same rows have the same
checksum, whatever their order, also if their categories differ; the sum of the rows' hashes modulo 2^64
allows to take rows out again.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.columns.parts import chunks, side_by_side

Keys = npt.NDArray[np.uint64]
Column = npt.NDArray[np.integer]
_Codes = npt.NDArray[np.int32]
_Positions = npt.NDArray[np.int64]
BITS_OF_KEY: Final = 64
# A table for ids may have so many entries for each of them.
_TABLE_PER_ID: Final = 8
Hashes = npt.NDArray[np.uint64]
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MISSING: Final = np.uint64(0x6D697373696E6721)


def pack(columns: Sequence[Column], bits: int = BITS_OF_KEY) -> Keys:
    """Return a number for each row, less than ``2 ** bits``, that sorts as the columns do, the first first.

    Args:
        columns: Signed integers or small unsigned ones, of one length.
        bits: How many the numbers may have; enough for the number of rows.
    """
    (keys,), width = _packed([(column,) for column in columns])
    if width > bits:
        (keys,), _ = _ranks([keys])
    return keys


def pack_alike(columns: Sequence[tuple[Column, Column]]) -> tuple[Keys, Keys]:
    """Return a number for each row of two frames: equal numbers mean equal rows, be it of one frame or both.

    The numbers sort as the columns do, the first first.

    Args:
        columns: For each column its values in the one frame and in the other, as ``pack`` takes them.
    """
    (keys, other_keys), _ = _packed(columns)
    return keys, other_keys


def common_codes(labels: pd.Series, other_labels: pd.Series) -> tuple[_Codes, _Codes]:
    """Return codes for two label columns: equal codes mean equal labels, -1 means a missing one."""
    known = labels.cat.categories.astype("str")
    others = other_labels.cat.categories.astype("str")
    translation = known.get_indexer(others)
    translation = np.where(translation >= 0, translation, len(known) + np.arange(len(others)))
    with_missing = np.append(translation, -1).astype(np.int32)
    return labels.cat.codes.to_numpy().astype(np.int32), with_missing[other_labels.cat.codes.to_numpy()]


def width_of(keys: Keys) -> int:
    """Return how many bits the largest key has."""
    return int(keys.max(initial=0)).bit_length()


def is_among(wanted: npt.NDArray[np.generic], ascending: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Tell which numbers occur in an ascending column, which may repeat them."""
    if len(ascending) == 0:
        return np.zeros(len(wanted), np.bool_)
    place = np.minimum(ascending.searchsorted(wanted), len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[place] == wanted
    return found


def _packed(columns: Sequence[Sequence[Column]]) -> tuple[list[Keys], int]:
    """Return numbers for the rows of one frame or several, and how many bits the greatest may have.

    Args:
        columns: For each column its values in each frame.
    """
    keys, bits = _from_zero(columns[0])
    for values in columns[1:]:
        low, width = _from_zero(values)
        if bits + width > BITS_OF_KEY:
            keys, bits = _ranks(keys)
        if bits + width > BITS_OF_KEY:
            low, width = _ranks(low)
        if width > 0:
            for own, digits in zip(keys, low, strict=True):
                np.left_shift(own, np.uint64(width), out=own)
                np.bitwise_or(own, digits, out=own)
        bits += width
    return keys, bits


def _from_zero(columns: Sequence[Column]) -> tuple[list[Keys], int]:
    """Shift columns so that the least value is 0; the last result is the bits of the greatest."""
    ends = [int(end) for values in columns if len(values) for end in (values.min(), values.max())]
    lowest, highest = min(ends, default=0), max(ends, default=0)
    # ids may span more than int64 can tell apart, differences modulo 2^64 cannot
    shifted = [(values - np.int64(lowest)).view(np.uint64) for values in columns]
    return shifted, (highest - lowest).bit_length()


def _ranks(columns: Sequence[Keys]) -> tuple[list[Keys], int]:
    """Replace each value by its rank among the values of all columns; the last result is its bits."""
    # sorting numbers is many times faster than numpy's unique, which looks them up by hash
    values = np.sort(np.concatenate(columns))
    is_new = np.ones(len(values), np.bool_)
    is_new[1:] = values[1:] != values[:-1]
    values = values[is_new]
    ranks = [values.searchsorted(keys).astype(np.uint64) for keys in columns]
    return ranks, max(len(values) - 1, 0).bit_length()


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


def mix(values: Hashes) -> Hashes:
    """Return the splitmix64 finaliser of each value, modulo 2^64."""
    mixed = values + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def stable_hash(
    purpose: str,
    contact_ids: npt.NDArray[np.int64],
    email_types: pd.Categorical,
    event_years: npt.NDArray[np.int32],
) -> Hashes:
    """Return ``stable_hash(purpose, contact, type, event year)`` of each row.

    Args:
        purpose: ``catch_up``, ``smooth`` or ``order``.
        contact_ids: int64, one a row.
        email_types: The type of each row.
        event_years: int32, the calendar year of each row's event date.
    """
    if len(contact_ids) == 0:
        return np.empty(0, np.uint64)
    first_year = int(event_years.min())
    year_count = int(event_years.max()) - first_year + 1
    # the type's code and the year in one number, so that a salt is worked out once for each pair
    pairs = email_types.codes.astype(np.int64) * year_count + (event_years - first_year)
    present = np.flatnonzero(np.bincount(pairs, minlength=len(email_types.categories) * year_count))
    salts = np.zeros(len(email_types.categories) * year_count, np.uint64)
    for pair in present:
        code, year = divmod(int(pair), year_count)
        salts[pair] = _salt(purpose, email_types.categories[code], first_year + year)
    return mix(mix(contact_ids.view(np.uint64)) ^ salts[pairs])


def stable_hash_of_contacts(
    purpose: str, contact_ids: npt.NDArray[np.int64], email_type: str, number: int
) -> Hashes:
    """Return ``stable_hash(purpose, contact, email_type, number)`` of each contact."""
    return mix(mix(contact_ids.view(np.uint64)) ^ np.uint64(_salt(purpose, email_type, number)))


def _salt(purpose: str, email_type: str, number: int) -> int:
    return int.from_bytes(sha256(f"{purpose}|{email_type}|{number}".encode()).digest()[:8], "big")


def row_hashes(frame: pd.DataFrame) -> Hashes:
    """Return a hash of what each row holds; rows with the same content have the same one.

    Args:
        frame: Columns of integers, flags, texts and labels; the index does not count.
    """
    columns = [_Column(name, frame[name]) for name in frame.columns]

    def hashes_of(part: slice) -> Hashes:
        hashes = np.zeros(part.stop - part.start, np.uint64)
        for column in columns:
            hashes += column.hashes(part)
        return mix(hashes)

    return np.concatenate(side_by_side(hashes_of, chunks(len(frame))))


def checksum(frame: pd.DataFrame) -> int:
    """Return the sum of the hashes of the rows modulo 2^64."""
    return total(row_hashes(frame))


def total(hashes: Hashes) -> int:
    """Return the sum of hashes modulo 2^64: the checksum of their rows."""
    return int(np.add.reduce(hashes, dtype=np.uint64))


def to_hex(value: int) -> str:
    """Return a checksum as it is stored: 16 hexadecimal digits, modulo 2^64."""
    return f"{value % (1 << 64):016x}"


class _Column:
    """One column: how the values of its rows are hashed."""

    def __init__(self, name: str, values: pd.Series) -> None:
        # odd, and another one for each column, so that the same value weighs differently in each
        self._factor = np.uint64(int.from_bytes(sha256(name.encode()).digest()[:8], "big") | 1)
        self._values = values
        self._label_hashes: Hashes | None = None
        if isinstance(values.dtype, pd.CategoricalDtype):
            # code -1 finds the last one
            self._label_hashes = np.append(_text_hashes(values.cat.categories.to_series()), _MISSING)

    def hashes(self, part: slice) -> Hashes:
        """Return a number for each row of ``part``."""
        if self._label_hashes is not None:
            values = self._label_hashes[self._values.cat.codes.to_numpy()[part]]
        elif pd.api.types.is_integer_dtype(self._values.dtype) or pd.api.types.is_bool_dtype(
            self._values.dtype
        ):
            values = self._values.to_numpy()[part].astype(np.int64).view(np.uint64)
        else:
            values = _text_hashes(self._values.iloc[part])
        return values * self._factor


def _text_hashes(texts: pd.Series) -> Hashes:
    hashes = pd.util.hash_array(texts.to_numpy(object), categorize=False)
    return np.where(texts.isna().to_numpy(), _MISSING, hashes).astype(np.uint64)
