"""Database URLs: which ones are accepted, what they name, and how they may be shown."""

from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from email_scheduler.errors import DatabaseError

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_DRIVERS: Final = {SQLITE: "pysqlite", POSTGRESQL: "psycopg"}
_ACCEPTED: Final = (
    "accepted is sqlite:///PATH (four slashes before an absolute path)"
    " or postgresql+psycopg://USER@HOST/DATABASE"
)
_SMALLEST_DATABASE: Final = 512


def backend_of(url: str) -> str:
    """Return which kind of database a URL names: ``SQLITE`` or ``POSTGRESQL``.

    Raises:
        DatabaseError: The URL is not accepted.
    """
    return _parse(url).get_backend_name()


def database_path(url: str) -> Path:
    """Return the absolute path of the SQLite file that a URL names, whether or not it exists.

    Raises:
        DatabaseError: The URL is not of the form ``sqlite:///PATH``, or names a database in memory.
    """
    parsed = _parse(url)
    shown = display_url(parsed)
    if parsed.get_backend_name() != SQLITE or parsed.host:
        raise DatabaseError(f"database {shown}: not a file; accepted is sqlite:///PATH")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise DatabaseError(
            f"database {shown}: a plan outlives its process, so that it needs a file; {_ACCEPTED}"
        )
    if parsed.query:
        raise DatabaseError(f"database {shown}: parameters after ? are not supported; {_ACCEPTED}")
    return Path(str(parsed.database)).expanduser().resolve()


def existing_database(url: str) -> Path:
    """Return the absolute path of the SQLite file that a URL names.

    Raises:
        DatabaseError: The URL is not accepted, or there is no such file.
    """
    path = database_path(url)
    shown = display_url(url)
    if not path.exists():
        raise DatabaseError(
            f"database {shown}: there is no file {path}; email-scheduler init-db --database URL creates it"
        )
    check_is_file(path, shown)
    return path


def check_is_file(path: Path, shown: str) -> None:
    """Raise a ``DatabaseError`` if what exists under a path cannot be a SQLite database.

    What is in the file is for SQLite alone to look at: when a process closes a file, all locks that it holds
    on the file are gone, those of open connections included.
    """
    if not path.is_file():
        raise DatabaseError(f"database {shown}: {path} is not a file")
    if 0 < path.stat().st_size < _SMALLEST_DATABASE:
        # SQLite would take it for a new one
        raise DatabaseError(f"database {shown}: {path}: file is not a database")


def server_address(url: str) -> str:
    """Return what PostgreSQL's own library connects to, the password included: never to be shown.

    Raises:
        DatabaseError: The URL does not name a PostgreSQL database.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != POSTGRESQL:
        raise DatabaseError(f"database {display_url(parsed)}: not on a PostgreSQL server")
    # SQLAlchemy leaves blanks in a password as they are, which the library refuses
    return parsed.set(drivername=POSTGRESQL).render_as_string(hide_password=False).replace(" ", "%20")


def display_url(url: str | URL) -> str:
    """Return a database URL as it may be shown: without its password, wherever it stands."""
    parsed = make_url(url)
    secrets = {name: "hidden" for name in parsed.query if "password" in name.lower()}
    return parsed.update_query_dict(secrets).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # the text may hold a password if it was meant as a URL
        shown = "" if "@" in url else f" {url!r}"
        raise DatabaseError(f"database{shown} is not a database URL; {_ACCEPTED}") from None
    shown = display_url(parsed)
    backend, driver = parsed.get_backend_name(), parsed.drivername.partition("+")[2]
    # a URL of PostgreSQL says its driver, since SQLAlchemy would take another one
    is_accepted = driver in {"", _DRIVERS[SQLITE]} if backend == SQLITE else driver == _DRIVERS.get(backend)
    if backend not in _DRIVERS or not is_accepted:
        raise DatabaseError(f"database {shown}: not supported; {_ACCEPTED}")
    if backend == POSTGRESQL and not parsed.database:
        raise DatabaseError(f"database {shown}: no database is named; {_ACCEPTED}")
    return parsed
