"""The files of backups: where they lie, what is written beside them, how they are compressed.

A backup is two files: ``NAME.sqlite.zst`` or ``NAME.pgdump.zst``, and ``NAME.json``, which says what it holds
and is written last. A backup without it is not finished, and does not count.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
from sqlalchemy.engine import make_url

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import SchedulerConfig
from email_scheduler.database.connections import SQLITE, backend_of, database_path
from email_scheduler.errors import BackupError
from email_scheduler.files import BACKUP_SUFFIXES, open_regular

DEFAULT_DIRECTORY: Final = Path("data/backups")
SUFFIXES: Final = dict(zip((SQLITE, "postgresql"), BACKUP_SUFFIXES, strict=True))

_NAME_FORMAT: Final = "%Y%m%d-%H%M%S-%f"
_CHUNK: Final = 4 << 20
_LONGEST_DESCRIPTION: Final = 1_000_000
EMAILS: Final = "email_schedules"
_UNFINISHED: Final = timedelta(days=1)


@dataclass(frozen=True)
class Backup:
    """A finished backup, as the file beside it describes it.

    Attributes:
        name: When it was made, in UTC: it is how people name it.
        made_at: The same, ISO 8601.
        made_for: ``plan``, ``request`` or ``restore``.
        kind: ``sqlite`` or ``postgresql``.
        scope: ``planner_tables`` or ``database``.
        schema_version: Of the database.
        rows: Rows of each of the planner's tables.
        content_bytes: How large it is when it is unpacked.
        bytes: How large its file is.
        sha256: Of the file, in hexadecimal.
    """

    name: str
    made_at: str
    made_for: str
    kind: str
    scope: str
    schema_version: str
    rows: dict[str, int]
    content_bytes: int
    bytes: int
    sha256: str

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    def file(self, directory: Path) -> Path:
        """Return the file that holds it."""
        return directory / f"{self.name}{SUFFIXES[self.kind]}"


def backup_directory(url: str, config: SchedulerConfig) -> Path:
    """Return where the backups of a database lie: a directory of its own, named after it.

    ``audit.backup_directory`` is the directory above. Eight digits tell databases of one name apart.
    """
    if backend_of(url) == SQLITE:
        path = database_path(url)
        name, identity = path.stem, str(path)
    else:
        parsed = make_url(url)
        name, identity = str(parsed.database), f"{parsed.host}:{parsed.port or 5432}/{parsed.database}"
    # a name becomes a path here, and may hold anything
    plain = "".join(each if each.isalnum() or each in "-_" else "_" for each in name)[:60]
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return (config.audit.backup_directory or DEFAULT_DIRECTORY) / f"{plain}-{digest}"


def new_name(moment: datetime) -> str:
    """Return the name of a backup that is made now."""
    return moment.astimezone(UTC).strftime(_NAME_FORMAT)[:-3]


@dataclass(frozen=True)
class DamagedBackup:
    """A backup of which nobody knows what it holds: the file beside it cannot be read.

    Attributes:
        name: The name that it should have.
        reason: What is wrong.
    """

    name: str
    reason: str


def finished_backups(directory: Path) -> list[Backup]:
    """Return the backups of a directory that are not damaged, the latest first; see ``all_backups``."""
    return all_backups(directory)[0]


def all_backups(directory: Path) -> tuple[list[Backup], list[DamagedBackup]]:
    """Return the backups of a directory, and the damaged ones, the latest first.

    There are none if there is no such directory.

    Raises:
        BackupError: The directory cannot be read.
    """
    with file_errors(directory):
        files = sorted(directory.glob("*.json"), reverse=True) if directory.is_dir() else []
    found, damaged = [], []
    for file in files:
        try:
            found.append(read_description(file))
        except BackupError as error:
            damaged.append(DamagedBackup(file.stem, str(error)))
    return found, damaged


def read_description(file: Path) -> Backup:
    """Read what stands beside a backup.

    Raises:
        BackupError: It cannot be read.
    """
    with file_errors(file), open_regular(file) as content:
        text = content.read(_LONGEST_DESCRIPTION)
    try:
        # of one that is longer, the end is missing
        backup = Backup(**json.loads(text))
        is_sound = _is_description(backup) and file.stem == backup.name
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BackupError(f"backup {file}: it is damaged: not the description of a backup") from error
    if not is_sound:
        raise BackupError(f"backup {file}: it is damaged: not the description of this backup")
    return backup


def _is_description(backup: Backup) -> bool:
    values = {each.name: getattr(backup, each.name) for each in fields(Backup)}
    rows, sizes = values.pop("rows"), [values.pop(name) for name in ("content_bytes", "bytes")]
    if not (isinstance(rows, dict) and all(isinstance(each, str) for each in values.values())):
        return False
    is_counted = EMAILS in rows and all(type(each) is int and each >= 0 for each in [*rows.values(), *sizes])
    if not is_counted or backup.kind not in SUFFIXES or backup.moment.tzinfo is None:
        return False
    # within the years that every time zone has
    return bool(backup.moment.astimezone(TIME_ZONE))


def write_description(directory: Path, backup: Backup) -> None:
    """Write what stands beside a backup: from then on it counts."""
    part = directory / f"{backup.name}.json.part"
    with private_file(part) as file:
        file.write(json.dumps(asdict(backup), indent=2).encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / f"{backup.name}.json")


def prune(directory: Path, keep_days: int, now: datetime | None = None) -> list[str]:
    """Remove the backups of a directory that are older than ``keep_days`` days, and what was never finished.

    The latest one that is not damaged stays, whatever its age; a damaged one is as old as its files.

    Returns:
        The names of the backups that were removed.

    Raises:
        BackupError: A file cannot be read or removed.
    """
    moment = now or datetime.now(UTC)
    backups, damaged = all_backups(directory)
    old = [each for each in backups[1:] if moment - each.moment > timedelta(days=keep_days)]
    with file_errors(directory):
        for backup in old:
            # the description goes first: what is left of a backup must not count
            (directory / f"{backup.name}.json").unlink(missing_ok=True)
            backup.file(directory).unlink(missing_ok=True)
        known = {f"{each.name}{suffix}" for each in backups for suffix in (".json", SUFFIXES[each.kind])}
        for each in damaged:
            files = [directory / f"{each.name}{suffix}" for suffix in (".json", *SUFFIXES.values())]
            # what is there may be a link that leads nowhere
            there = [file for file in files if os.path.lexists(file)]
            if there and moment - max(map(_modified, there)) > timedelta(days=keep_days):
                for file in there:
                    _remove(file)
            known |= {file.name for file in files}
        for file in directory.iterdir() if directory.is_dir() else ():
            is_ours = file.name.endswith((".part", *SUFFIXES.values()))
            if is_ours and file.name not in known and moment - _modified(file) > _UNFINISHED:
                _remove(file)
    return [backup.name for backup in old]


def _modified(file: Path) -> datetime:
    return datetime.fromtimestamp(file.lstat().st_mtime, UTC)


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)


def make_private(directory: Path) -> None:
    """Create a directory, and the one above it, for the owner alone."""
    with file_errors(directory):
        for each in (directory.parent, directory):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing that only its owner may read; it is gone again after an error."""
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def compressing(path: Path) -> Iterator[Any]:
    """Open a new private file; what is written to it is compressed, and on the disk at the end."""
    with private_file(path) as file:
        # the stream closes the file
        with pa.CompressedOutputStream(pa.PythonFile(file, "w"), "zstd") as stream:
            yield stream
        with path.open("rb") as written:
            os.fsync(written.fileno())


def compress(source: Path, target: Path) -> None:
    """Compress a file into a new private file."""
    with source.open("rb") as file, compressing(target) as stream:
        while chunk := file.read(_CHUNK):
            stream.write(chunk)


def unpack(source: Path, target: Path) -> None:
    """Unpack a file into a new private file.

    Raises:
        BackupError: It is damaged.
    """
    with file_errors(source), private_file(target) as file:
        try:
            with pa.input_stream(str(source), compression="zstd") as stream:
                while chunk := stream.read(_CHUNK):
                    file.write(chunk)
        except pa.ArrowInvalid as error:
            raise BackupError(f"backup {source}: it is damaged: it cannot be unpacked") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system raises within the block into a ``BackupError`` of one line."""
    try:
        yield
    except OSError as error:
        raise BackupError(f"backup {path}: {error.strerror or error}") from error
