"""Frames as typed Parquet, by their contract: equal frames become equal bytes, and come back as they were.

Dates are ``date32`` and null where there is none, ids ``int64``, categories dictionary-encoded. The
categories of a column and their order are kept beside it where the texts alone do not tell them. Texts that
are no category hardly repeat, and are plain.
"""

import json
from typing import Any, BinaryIO, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from email_scheduler.errors import InputDataError
from email_scheduler.planning.frames import DATE, FLAG, ID, NO_DATE, NO_NUMBER, NUMBER, TEXT, Frame

_NOTHING: Final = {DATE: NO_DATE, NUMBER: NO_NUMBER}
_TYPES: Final = {ID: pa.int64(), DATE: pa.date32(), NUMBER: pa.int32(), FLAG: pa.bool_()}
_CATEGORY: Final = pa.dictionary(pa.int32(), pa.string())
_PLAIN: Final = pa.string()
_CATEGORIES: Final = b"categories"
# The categories of a column whose distinct texts in ascending order they are.
_AS_FOUND: Final = b"as found"


def write_frame(frame: pd.DataFrame, contract: Frame, file: BinaryIO) -> None:
    """Write a frame that keeps ``contract``.

    Raises:
        InputDataError: It does not keep it.
    """
    contract.check(frame)
    fields, columns = [], []
    for name, kind in contract.kinds(frame.columns).items():
        column, metadata = _encode(frame[name], kind)
        fields.append(pa.field(name, column.type, metadata=metadata))
        columns.append(column)
    pq.write_table(
        pa.table(columns, schema=pa.schema(fields)), file, compression="zstd", write_page_checksum=True
    )


def read_frame(file: BinaryIO, contract: Frame) -> pd.DataFrame:
    """Read what ``write_frame`` wrote.

    Raises:
        InputDataError: The file holds something else, is truncated or is damaged.
    """
    try:
        table = pq.read_table(file, page_checksum_verification=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise InputDataError(
            f"frame {contract.name}: no readable Parquet: {' '.join(str(error).split())}"
        ) from error
    found = dict(zip(table.schema.names, table.schema.types, strict=True))
    kinds = contract.kinds(found)
    expected = {name: _expected_type(kind, found.get(name)) for name, kind in kinds.items()}
    if found != expected:
        raise InputDataError(f"frame {contract.name}: holds {_words(found)}; expected are {_words(expected)}")
    return contract.build(
        {
            name: _decode(table.column(name), kind, table.schema.field(name).metadata or {})
            for name, kind in kinds.items()
        }
    )


def _encode(values: pd.Series, kind: str) -> tuple[Any, dict[bytes, bytes]]:
    if kind in _NOTHING:
        numbers = values.to_numpy()
        return pa.array(numbers, mask=numbers == _NOTHING[kind]).cast(_TYPES[kind]), {}
    if kind in _TYPES:
        return pa.array(values.to_numpy()), {}
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return pa.array(values, type=_PLAIN, from_pandas=True), {}
    codes = values.cat.codes.to_numpy().astype(np.int32)
    categories = values.cat.categories.astype("str")
    # of an index without labels, Arrow would not see that they are texts
    texts = pa.array(categories.to_numpy(object), type=pa.string())
    used = categories[np.unique(codes[codes >= 0])]
    is_as_found = len(used) == len(categories) and categories.is_monotonic_increasing
    kept = _AS_FOUND if is_as_found else json.dumps(list(categories)).encode()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts), {_CATEGORIES: kept}


def _decode(values: Any, kind: str, metadata: dict[bytes, bytes]) -> object:
    if kind == DATE:
        values = values.cast(pa.int32())
    if kind in _NOTHING:
        return pc.fill_null(values, _NOTHING[kind]).to_numpy()
    if kind in _TYPES:
        return values.to_numpy()
    if values.type == _PLAIN:
        return values.to_pandas().astype("str")
    encoded = values.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.array([], _CATEGORY) if encoded.num_chunks == 0 else encoded.chunk(0)
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    found = pd.Index(encoded.dictionary.to_pandas(), dtype="str")
    kept = metadata[_CATEGORIES]
    categories = found.sort_values() if kept == _AS_FOUND else pd.Index(json.loads(kept), dtype="str")
    places = np.append(categories.get_indexer(found), -1)
    return pd.Categorical.from_codes(places[codes], categories=categories)


def _expected_type(kind: str, found: Any) -> Any:
    is_plain_text = kind == TEXT and found == _PLAIN
    return _TYPES.get(kind, _PLAIN if is_plain_text else _CATEGORY)


def _words(types: dict[str, Any]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())
