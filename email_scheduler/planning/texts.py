"""Text columns: what is blank, what is trimmed, and working on the distinct texts instead of on every row."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# What Python's str.strip and the \s of its regular expressions take for white space; Arrow differs.
WHITESPACE: Final = "".join(map(chr, (*range(9, 14), *range(28, 33), 133, 160, 5760, *range(8192, 8203)))) + (
    "\u2028\u2029\u202f\u205f\u3000"
)


def trim(texts: pa.Array) -> pa.Array:
    """Return the texts without white space at both ends."""
    return pc.utf8_trim(texts, characters=WHITESPACE)


def to_arrow(texts: pd.Series) -> pa.Array:
    """Return a text column as one Arrow array of strings, null where missing."""
    if isinstance(texts.dtype, pd.CategoricalDtype):
        codes, uniques = codes_and_texts(texts)
        return pc.take(uniques, pa.array(codes, mask=codes < 0))
    array = pa.array(texts, type=pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def codes_and_texts(texts: pd.Series) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Split a text column into the code of each row, -1 where it is missing, and the distinct texts."""
    if isinstance(texts.dtype, pd.CategoricalDtype):
        codes = texts.cat.codes.to_numpy()
        uniques = pa.array(texts.cat.categories, type=pa.large_string(), from_pandas=True)
    else:
        encoded = pc.dictionary_encode(to_arrow(texts))
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        uniques = encoded.dictionary
    if isinstance(uniques, pa.ChunkedArray):
        uniques = uniques.combine_chunks()
    return codes.astype(np.int64), uniques
