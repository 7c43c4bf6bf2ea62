"""Checksums of what frames hold, whatever the order of their rows.

Frames with the same rows have the same checksum, also if their categories differ. The sum of the rows' hashes
modulo 2^64 allows to take rows out again.
"""

from hashlib import sha256
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.planning.chunks import chunks, side_by_side
from email_scheduler.planning.hashing import Hashes, mix

_MISSING: Final = np.uint64(0x6D697373696E6721)


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
