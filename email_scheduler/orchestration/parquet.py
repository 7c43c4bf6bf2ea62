"""Frames as typed Parquet, by their contract: equal frames become equal bytes, and come back as they were.

Dates are ``date32`` and null where there is none, ids ``int64``, categories dictionary-encoded. The
categories of a column and their order are kept beside it where the texts alone do not tell them. Texts that
are no category hardly repeat, and are plain.
"""

import json
import zlib
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
# Parquet protects the pages of a file by checksums of their own, and nothing protects its footer.
_FOOTER_CHECKSUM: Final = b"checksum of rows, columns and categories"
# Where Arrow keeps the types of columns that Parquet does not know.
_ARROW_SCHEMA: Final = b"ARROW:schema"


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
    schema = pa.schema(fields)
    schema = schema.with_metadata({_FOOTER_CHECKSUM: _footer_checksum(schema, len(frame))})
    pq.write_table(pa.table(columns, schema=schema), file, compression="zstd", write_page_checksum=True)


def read_frame(file: BinaryIO, contract: Frame) -> pd.DataFrame:
    """Read what ``write_frame`` wrote.

    Raises:
        InputDataError: The file holds something else, is truncated or is damaged.
    """
    try:
        source = pq.ParquetFile(file, page_checksum_verification=True)
        table = source.read()
        table.validate(full=True)
        found = dict(zip(table.schema.names, table.schema.types, strict=True))
        beside = source.metadata.metadata or {}
        # files that were written before there was a checksum have none
        is_sound = _ARROW_SCHEMA in beside and beside.get(_FOOTER_CHECKSUM) in {
            None,
            _footer_checksum(table.schema, len(table)),
        }
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputDataError(
            f"frame {contract.name}: no readable Parquet: {' '.join(str(error).split())}"
        ) from error
    if not is_sound:
        raise InputDataError(
            f"frame {contract.name}: no readable Parquet: its checksum is not that of its footer"
        )
    kinds = contract.kinds(found)
    expected = {name: _expected_type(kind, found.get(name)) for name, kind in kinds.items()}
    if found != expected:
        raise InputDataError(f"frame {contract.name}: holds {_words(found)}; expected are {_words(expected)}")
    try:
        columns = {
            name: _decode(table.column(name), kind, table.schema.field(name).metadata or {})
            for name, kind in kinds.items()
        }
    except (LookupError, ValueError) as error:
        raise InputDataError(
            f"frame {contract.name}: the categories of a column are not beside it, or not its own:"
            " this file was written by something else"
        ) from error
    return contract.build(columns)


def _footer_checksum(schema: Any, row_count: int) -> bytes:
    columns = [(field.name, str(field.type), (field.metadata or {}).get(_CATEGORIES)) for field in schema]
    return str(zlib.crc32(repr((row_count, columns)).encode())).encode()


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
    if (places[:-1] < 0).any():
        raise ValueError("the categories do not hold all texts of the column")
    return pd.Categorical.from_codes(places[codes], categories=categories)


def _expected_type(kind: str, found: Any) -> Any:
    is_plain_text = kind == TEXT and found == _PLAIN
    return _TYPES.get(kind, _PLAIN if is_plain_text else _CATEGORY)


def _words(types: dict[str, Any]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())
