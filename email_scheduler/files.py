"""Files that are their owner's alone, whatever the umask is; which ones are read, and which are replaced."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Final

from email_scheduler.errors import ConfigurationError, UsageError

PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600
CONFIGURATION_SUFFIXES: Final = frozenset({".yaml", ".yml"})
BACKUP_SUFFIXES: Final = (".sqlite.zst", ".pgdump.zst")
_TO_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# not only to write: how the file begins is looked at, and a pipe is opened though nobody reads from it
_TO_ADD: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
# how files begin that are replaced by no output
_MARKS: Final = {
    b"SQLite format 3\0": "a database",
    b"\x37\x7f\x06\x82": "a part of a database",
    b"\x37\x7f\x06\x83": "a part of a database",
    b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7": "a part of a database",
    # what backups are compressed with, and what PostgreSQL's own begin with
    b"\x28\xb5\x2f\xfd": "a backup",
    b"PGDMP": "a backup",
}
_MOST_MARK: Final = max(map(len, _MARKS))
# what SQLite calls the files beside a database
_BESIDE: Final = ("-wal", "-shm", "-journal")


def make_private_directory(path: Path) -> None:
    """Create a directory and those above it that are missing; those that are there stay as they are."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for directory in reversed(missing):
        with suppress(FileExistsError):
            directory.mkdir(mode=PRIVATE_DIRECTORY)


def make_private_file(path: Path) -> None:
    """Create an empty file if there is none; one that is there stays as it is."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))


def open_private(path: str, flags: int) -> int:
    """Open a file for new content: the ``opener`` of ``open``. One that is there loses its wider rights."""
    descriptor = os.open(path, flags, PRIVATE_FILE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, PRIVATE_FILE)
    return descriptor


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading; nothing else is read, since it may never end, or never begin.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, _TO_READ)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no regular file; accepted is one", str(path))


@dataclass(frozen=True)
class Output:
    """A file that somebody asks for.

    Attributes:
        path: The file.
        is_forced: Whether a file that is there is replaced. Databases, backups, files of a configuration and
            directories never are.
        kept: Files that are never replaced, and directories whose files are not, by whatever name.
    """

    path: Path
    is_forced: bool = False
    kept: tuple[Path, ...] = ()

    def refuse(self) -> None:
        """Do nothing if it may be written: for those who write it later, perhaps after minutes of work.

        Raises:
            UsageError: It may not, or there is no directory for it.
        """
        self._refuse_name()
        with self._errors():
            try:
                descriptor = os.open(self.path, _TO_READ)
            except FileNotFoundError:
                if self.path.is_symlink():
                    text = "it is a link that leads nowhere; accepted is another file"
                    raise UsageError(f"{self.path}: {text}") from None
                if os.access(self.path.parent, os.W_OK):
                    return
                accepted = "accepted is a file in a directory that is there"
                raise UsageError(f"{self.path}: cannot be written; {accepted}") from None
            try:
                self._refuse(descriptor)
            finally:
                os.close(descriptor)

    def open(self) -> TextIOWrapper:
        """Open it for new text; it is its owner's alone.

        Raises:
            UsageError: It may not be written, or cannot be.
        """
        self._refuse_name()
        with self._errors():
            try:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            except FileExistsError:
                descriptor = self._replaced()
        return os.fdopen(descriptor, "w", encoding="utf-8", newline="")

    def _refuse_name(self) -> None:
        """Refuse a name that SQLite uses for its own file beside one that is there, and would read."""
        for suffix in _BESIDE:
            own = self.path.parent / self.path.name.removesuffix(suffix)
            if self.path.name.endswith(suffix) and own.is_file():
                raise UsageError(
                    f"{self.path}: a program would take it for a part of {own.name}; accepted is another name"
                )

    def _replaced(self) -> int:
        """Open the file that is there, empty; a terminal and another program are not emptied."""
        is_regular = self.path.is_file()
        descriptor = os.open(self.path, os.O_NONBLOCK | (os.O_RDWR if is_regular else os.O_WRONLY))
        try:
            self._refuse(descriptor)
            os.set_blocking(descriptor, True)
            if is_regular:
                os.fchmod(descriptor, PRIVATE_FILE)
                os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _refuse(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        what = never_replaced(self.path, descriptor)
        if what is None and any(os.path.samestat(status, each.stat()) for each in self._kept_files()):
            what = "a file of the database, of its backups or of the configuration"
        if what is not None:
            raise UsageError(f"{self.path}: it is {what}, which is not replaced; accepted is another file")
        if stat.S_ISREG(status.st_mode) and not self.is_forced:
            raise UsageError(f"{self.path}: there is such a file; accepted is another one, or --force")

    def _kept_files(self) -> Iterator[Path]:
        for each in self.kept:
            yield from filter(Path.exists, each.iterdir() if each.is_dir() else [each])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from error


def never_replaced(path: Path, descriptor: int) -> str | None:
    """Return what a file is that is replaced by no output, whoever asks for it; None: it is none of those.

    Args:
        path: What it is called.
        descriptor: The file, opened for reading, unless it is a terminal or another program.
    """
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        return None if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) else "a directory or a device"
    beginning = os.pread(descriptor, _MOST_MARK, 0)
    for mark, what in _MARKS.items():
        if beginning.startswith(mark):
            return what
    for each in (path, path.resolve()):
        if each.suffix in CONFIGURATION_SUFFIXES:
            return "a file of a configuration"
        if each.suffix == ".json" and any(each.with_suffix(end).exists() for end in BACKUP_SUFFIXES):
            return "the description of a backup"
        name = each.name
        if any(name.endswith(end) and each.with_name(name.removesuffix(end)).exists() for end in _BESIDE):
            return "a part of a database"
    return None


def open_log(path: Path) -> TextIOWrapper:
    """Open a file that a program adds its log to; a new one is its owner's alone, as its directories are.

    Raises:
        ConfigurationError: It is no regular file, one that nothing else is written to, or cannot be written.
    """
    try:
        make_private_directory(path.parent)
        descriptor = os.open(path, _TO_ADD, PRIVATE_FILE)
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        what = never_replaced(path, descriptor) if is_regular else "no regular file"
        if what is not None:
            os.close(descriptor)
            raise ConfigurationError(f"logging.file {path}: it is {what}; accepted is another file")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        raise ConfigurationError(
            f"logging.file {path}: cannot be written: {why}; accepted is a file in a directory that can be"
        ) from error
    # a log is there to be read whatever somebody has put into it
    return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


@contextmanager
def private_output(output: Output) -> Iterator[TextIOWrapper]:
    """Open a file for new text, its owner's alone, for the block. Lines end as they are written.

    Raises:
        UsageError: The file may not be written, or cannot be.
    """
    try:
        with output.open() as file:
            yield file
    except OSError as error:
        raise UsageError(f"{output.path}: cannot be written: {error.strerror}") from error
