"""Files that somebody asked a command for."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from email_scheduler.errors import UsageError
from email_scheduler.files import open_private


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
