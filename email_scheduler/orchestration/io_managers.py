"""Keeps the values of the assets: one Parquet file for each frame, in one directory for each partition."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from upath import UPath

from email_scheduler.config.organizations import is_organization_name
from email_scheduler.config.problems import shown
from email_scheduler.errors import InputDataError
from email_scheduler.files import make_private_directory, open_private
from email_scheduler.orchestration.failures import failure_of_disk, refusal
from email_scheduler.orchestration.parquet import read_frame, write_frame
from email_scheduler.orchestration.values import ASSET_FRAMES, Frames

_LOCAL_PROTOCOLS = {"", "file", "local"}
_SECONDS = "seconds: IO manager"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FramesIOManager(dg.UPathIOManager):
    """Keeps values under ``base_path``: ``<asset>/<date>/<organization>/<frame>.parquet``.

    On a local disk files and directories are the owner's alone, and a value that is written anew replaces
    the old one only when all of its frames are there. Whoever reads it, at whatever moment, gets all frames
    of one value or is told that there is none; so does whoever reads it after its writer was killed.
    """

    def make_safe_partition_path(self, base_path: UPath, partition: str) -> UPath:
        """Return the directory of a partition: ``<date>/<organization>``, or as Dagster once wrote it.

        Raises:
            Failure: It is no date and name of an organisation, and might lead anywhere.
        """
        day, _, organization = partition.replace("|", "/").partition("/")
        if not (_DAY.fullmatch(day) and is_organization_name(organization)):
            raise refusal(f"partition {shown(partition)}: accepted is a date and the name of an organisation")
        return base_path / partition

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the value of an upstream asset.

        Raises:
            Failure: It is not there, damaged or cannot be read; the message names asset and partition.
        """
        begin = time.perf_counter()
        try:
            value = super().load_input(context)
        except FileNotFoundError as error:
            raise refusal(
                f"{_what(context)} is not there ({error}); materialise it first. The tables of a day that is"
                " over can only be read as they are today (run configuration read_past_partition: true)"
            ) from error
        except OSError as error:
            raise failure_of_disk(f"{_what(context)} cannot be read", error) from error
        context.add_input_metadata({_SECONDS: round(time.perf_counter() - begin, 3)})
        return value

    def handle_output(self, context: dg.OutputContext, obj: Frames) -> None:
        """Keep the value of an asset.

        Raises:
            Failure: It cannot be written, for want of room for example; what was there before is still there.
        """
        try:
            super().handle_output(context, obj)
        except OSError as error:
            raise failure_of_disk(f"{_what(context)} cannot be written", error) from error

    def dump_to_path(self, context: dg.OutputContext, obj: Frames, path: UPath) -> None:
        """Write each frame of a value."""
        contracts = _contracts(context)
        if obj.keys() != contracts.keys():
            raise InputDataError(f"{_what(context)}: frames {list(obj)}; expected are {list(contracts)}")
        begin = time.perf_counter()
        self.make_directory(path)
        with _locked(path, fcntl.LOCK_EX), ExitStack() as leftovers:
            for name, contract in contracts.items():
                leftovers.callback(_remove_unfinished, path, name)
                with _open_for_writing(_unfinished(path, name)) as file:
                    write_frame(obj[name], contract, file)
            _finish(path, list(contracts))
        context.add_output_metadata({_SECONDS: round(time.perf_counter() - begin, 3)})

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Frames:
        """Read each frame of a value."""
        frames = {}
        with _locked(path, fcntl.LOCK_SH):
            for name, contract in _contracts(context).items():
                place = path / f"{name}.parquet"
                with place.open("rb") as file:
                    try:
                        frames[name] = read_frame(file, contract)
                    except InputDataError as error:
                        raise refusal(
                            f"{_what(context)} is damaged: {place}: {error}; materialise it again"
                        ) from error
        return frames

    def make_directory(self, path: UPath) -> None:
        """Create a directory and those above it, as private ones."""
        local = _local(path)
        if local is None:
            path.mkdir(parents=True, exist_ok=True)
            return
        make_private_directory(local)


def frames_io_manager(storage_url: str) -> FramesIOManager:
    """Return the one that keeps values at a directory or URL."""
    return FramesIOManager(base_path=UPath(storage_url))


def _contracts(context: dg.InputContext | dg.OutputContext) -> Any:
    return ASSET_FRAMES[context.asset_key.path[-1]]


def _what(context: dg.InputContext | dg.OutputContext) -> str:
    return f"asset {context.asset_key.to_user_string()}, partition {context.asset_partition_key}"


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
