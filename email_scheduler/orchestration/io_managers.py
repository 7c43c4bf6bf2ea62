"""Keeps what assets pass on: one typed Parquet file for each frame, in one directory for each partition.

By their contract equal frames become equal bytes, and come back as they were.
"""

import fcntl
import json
import os
import re
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from email_scheduler.config import is_organization_name, shown
from email_scheduler.errors import InputDataError
from email_scheduler.files import make_private_directory, open_private
from email_scheduler.orchestration.asset_frames import ASSET_FRAMES, Frames
from email_scheduler.orchestration.failures import failure_of_disk, refusal
from email_scheduler.orchestration.partitions import Partition
from email_scheduler.planning import DATE, FLAG, ID, NO_DATE, NO_NUMBER, NUMBER, TEXT, Frame
from email_scheduler.proof import Proved

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
_LOCAL_PROTOCOLS = {"", "file", "local"}
_SECONDS = "seconds: IO manager"
_Stamp = tuple[tuple[int, ...], ...] | None
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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


@dataclass
class _Kept:
    """What is in memory of one partition: frames by asset, with the stamp of their files, and their proof."""

    partition: Partition
    frames: dict[str, tuple[_Stamp, Frames]] = field(default_factory=dict)
    proved: Proved | None = None


class FramesIOManager(dg.IOManager):
    """Keeps values under a directory or URL: ``<asset>/<date>/<organization>/<frame>.parquet``.

    On a local disk files and directories are the owner's alone, and a value that is written anew replaces
    the old one only when all of its frames are there. Whoever reads it, at whatever moment, gets all frames
    of one value or is told that there is none; so does whoever reads it after its writer was killed.

    The frames of the partition that was written or read last stay in memory: steps of one process read no
    file that they have written, as long as it is the same file. Nobody changes a frame that he was given.
    """

    def __init__(self, base_path: UPath) -> None:
        self._base_path = base_path
        self._kept: _Kept | None = None

    def directory(self, asset: str, partition_key: str) -> UPath:
        """Return the directory of a partition.

        Raises:
            Failure: It is no date and name of an organisation, and might lead anywhere.
        """
        day, _, organization = partition_key.partition("|")
        if not (_DAY.fullmatch(day) and is_organization_name(organization)):
            raise refusal(
                f"partition {shown(partition_key)}: accepted is a date and the name of an organisation"
            )
        return self._base_path / asset / day / organization

    def load_input(self, context: dg.InputContext) -> Frames:
        """Return the value of an asset, to whoever asks Dagster for it.

        Raises:
            Failure: As ``load``.
        """
        return self.load(context.asset_key.path[-1], Partition.of(context.asset_partition_key))

    def handle_output(self, context: dg.OutputContext, obj: Frames) -> None:
        """Keep the value of an asset.

        Raises:
            Failure: It cannot be written, for want of room for example; what was there before is still there.
        """
        asset, partition = context.asset_key.path[-1], Partition.of(context.asset_partition_key)
        begin = time.perf_counter()
        try:
            self.write(asset, partition, obj)
        except OSError as error:
            raise failure_of_disk(f"{_what(asset, partition)} cannot be written", error) from error
        context.add_output_metadata({_SECONDS: round(time.perf_counter() - begin, 3)})

    def load(self, asset: str, partition: Partition, *, is_last: bool = False) -> Frames:
        """Return the value of an asset.

        Args:
            asset: Its name.
            partition: Its partition.
            is_last: Nobody needs it any more in this process: it does not stay in memory.

        Raises:
            Failure: It is not there, damaged or cannot be read; the message names asset and partition.
        """
        path, kept = self.directory(asset, partition.key), self._of(partition)
        try:
            with _locked(path, fcntl.LOCK_SH):
                stamp, (known, frames) = _stamp(path, asset), kept.frames.get(asset, (None, None))
                if frames is None or stamp is None or known != stamp:
                    frames = _read(path, asset, partition)
        except FileNotFoundError as error:
            raise refusal(
                f"{_what(asset, partition)} is not there ({error}); materialise it first. The tables of a day"
                " that is over can only be read as they are today (run configuration read_past_partition:"
                " true)"
            ) from error
        except OSError as error:
            raise failure_of_disk(f"{_what(asset, partition)} cannot be read", error) from error
        kept.frames.pop(asset, None)
        if stamp is not None and not is_last:
            kept.frames[asset] = (stamp, frames)
        return dict(frames)

    def write(self, asset: str, partition: Partition, value: Frames) -> None:
        """Write each frame of a value."""
        contracts = ASSET_FRAMES[asset]
        if value.keys() != contracts.keys():
            raise InputDataError(
                f"{_what(asset, partition)}: frames {list(value)}; expected are {list(contracts)}"
            )
        path, kept = self.directory(asset, partition.key), self._of(partition)
        kept.frames.pop(asset, None)
        _make_directory(path)
        with _locked(path, fcntl.LOCK_EX), ExitStack() as leftovers:
            for name, contract in contracts.items():
                leftovers.callback(_remove_unfinished, path, name)
                with _open_for_writing(_unfinished(path, name)) as file:
                    write_frame(value[name], contract, file)
            _finish(path, list(contracts))
            stamp = _stamp(path, asset)
        if stamp is not None:
            kept.frames[asset] = (stamp, dict(value))

    def note_proof(self, partition: Partition, proved: Proved | None) -> None:
        """Remember what was proved of frames of a partition; None: nothing."""
        self._of(partition).proved = proved

    def proof(self, partition: Partition) -> Proved | None:
        """Return what was proved of frames of a partition in this process; None: nothing."""
        return self._of(partition).proved

    def _of(self, partition: Partition) -> _Kept:
        if self._kept is None or self._kept.partition != partition:
            self._kept = _Kept(partition)
        return self._kept


def frames_io_manager(storage_url: str) -> FramesIOManager:
    """Return the one that keeps values at a directory or URL."""
    return FramesIOManager(UPath(storage_url))


def _what(asset: str, partition: Partition) -> str:
    return f"asset {asset}, partition {partition}"


def _read(path: UPath, asset: str, partition: Partition) -> Frames:
    frames = {}
    for name, contract in ASSET_FRAMES[asset].items():
        place = path / f"{name}.parquet"
        with place.open("rb") as file:
            try:
                frames[name] = read_frame(file, contract)
            except InputDataError as error:
                raise refusal(
                    f"{_what(asset, partition)} is damaged: {place}: {error}; materialise it again"
                ) from error
    return frames


def _stamp(path: UPath, asset: str) -> _Stamp:
    """Return what tells the files of a value from others; None where nothing does."""
    directory = _local(path)
    if directory is None:
        return None
    found = [(directory / f"{name}.parquet").stat() for name in ASSET_FRAMES[asset]]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in found)


def _make_directory(path: UPath) -> None:
    """Create a directory and those above it, as private ones."""
    local = _local(path)
    if local is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    make_private_directory(local)


def _local(path: UPath) -> Path | None:
    return Path(path.path) if path.protocol in _LOCAL_PROTOCOLS else None


def _unfinished(path: UPath, name: str) -> UPath:
    """Return where a frame is written to; object stores show an object only when it is complete."""
    return path / (f"{name}.parquet" if _local(path) is None else f".{name}.parquet.unfinished")


def _open_for_writing(place: UPath) -> Any:
    local = _local(place)
    if local is None:
        return place.open("wb")
    return open(local, "wb", opener=open_private)


def _finish(path: UPath, names: list[str]) -> None:
    """Put the new frames into the place of the old ones."""
    directory = _local(path)
    if directory is None:
        return
    if len(names) > 1:
        # killed from here on, a writer leaves a value that is not there, never one of old and new frames
        for name in names:
            (directory / f"{name}.parquet").unlink(missing_ok=True)
    for name in names:
        (directory / f".{name}.parquet.unfinished").replace(directory / f"{name}.parquet")


def _remove_unfinished(path: UPath, name: str) -> None:
    directory = _local(path)
    if directory is not None:
        (directory / f".{name}.parquet.unfinished").unlink(missing_ok=True)


@contextmanager
def _locked(path: UPath, how: int) -> Iterator[None]:
    """Hold a directory against those who write to it; the operating system gives it back if we are killed."""
    directory = _local(path)
    if directory is None:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # some network drives have no locks; Dagster's queue keeps runs of an organisation apart there
        with suppress(OSError):
            fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
