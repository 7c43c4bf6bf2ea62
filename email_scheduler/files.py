"""Files that are their owner's alone, whatever the umask is; also those that a command was asked for."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from email_scheduler.errors import UsageError

PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600


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


@contextmanager
def private_output(path: Path) -> Iterator[TextIOWrapper]:
    """Open a file for new text, its owner's alone, for the block; one that is there is replaced.

    Lines end as they are written.

    Raises:
        UsageError: The file cannot be written.
    """
    try:
        # Path.open takes no opener
        with open(path, "w", encoding="utf-8", newline="", opener=open_private) as file:
            yield file
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
