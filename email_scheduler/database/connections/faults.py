"""Database URLs, and errors of databases: which are ours to report, which pass, and trying again.

Which URLs are accepted, what they name, and how they may be shown.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import adbc_driver_manager
import psycopg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from email_scheduler.config import SchedulerConfig, display_url, url_problem, without_parameters
from email_scheduler.errors import DatabaseError, EmailSchedulerError

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
_ACCEPTED: Final = (
    "accepted is sqlite:///PATH (four slashes before an absolute path)"
    " or postgresql+psycopg://USER@HOST/DATABASE"
)
_SMALLEST_DATABASE: Final = 512
DRIVER_ERRORS: Final = (DBAPIError, adbc_driver_manager.Error, psycopg.Error, OSError)
# PostgreSQL: somebody else holds a lock for too long, or both waited for each other.
_PASSING_STATES: Final = {"55P03", "40P01", "40001"}
# PostgreSQL: the server is stopping or starting, or has ended the session; 08 are broken connections.
_UNREACHABLE_STATES: Final = {"57P01", "57P02", "57P03"}
_CONNECTION_STATES: Final = "08"
# A server that answers, and refuses, will do so again, unless it says that it is busy with itself.
_REFUSAL: Final = "FATAL:"
# PostgreSQL's own library, before it connects: it will not like its settings better the next time.
_SETTINGS_REFUSED: Final = re.compile(
    r"invalid \S+ (\S+ )?(value|number)|could not match |definition of service"
)
_PASSING_REFUSALS: Final = ("starting up", "shutting down", "recovery mode", "too many clients")
# PostgreSQL: data that do not fit, and broken constraints; the details show whole rows.
_DATA_DO_NOT_FIT: Final = "22"
_STATES_ABOUT_ROWS: Final = {_DATA_DO_NOT_FIT, "23"}
_QUOTED: Final = re.compile('".*"', re.DOTALL)
_LONGEST_WAIT_SECONDS: Final = 60
_logger = logging.getLogger(__name__)


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
    shown = display_url(url)
    if parsed.get_backend_name() != SQLITE:
        raise DatabaseError(f"database {shown}: not a file; accepted is sqlite:///PATH")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise DatabaseError(
            f"database {shown}: a plan outlives its process, so that it needs a file; {_ACCEPTED}"
        )
    if parsed.query:
        raise DatabaseError(f"database {shown}: parameters after ? are not supported; {_ACCEPTED}")
    with _path_errors(url):
        path = Path(str(parsed.database)).expanduser().resolve()
        # a path that is too long, or leads through something that nobody may look at, shows here
        path.exists()
    return path


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
        raise DatabaseError(f"database {display_url(url)}: not on a PostgreSQL server")
    return _address(parsed)


def _parse(url: str) -> URL:
    if (problem := url_problem(url)) is not None:
        raise DatabaseError(f"database {display_url(url)}: {problem}; {_ACCEPTED}")
    parsed = make_url(url)
    if parsed.get_backend_name() == POSTGRESQL:
        try:
            psycopg.conninfo.conninfo_to_dict(_address(parsed))
        except psycopg.Error:
            # what the library says repeats what it does not know
            raise DatabaseError(
                f"database {display_url(url)}: PostgreSQL's own library does not take it; after ? accepted"
                " are the library's parameters, such as host, port and sslmode"
            ) from None
    return parsed


def _address(parsed: URL) -> str:
    # SQLAlchemy leaves blanks in a password as they are, which the library refuses
    return parsed.set(drivername=POSTGRESQL).render_as_string(hide_password=False).replace(" ", "%20")


@contextmanager
def _path_errors(url: str) -> Iterator[None]:
    """Turn what following a path raises into a ``DatabaseError``: loops, unknown users, odd characters."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DatabaseError(
            f"database {display_url(url)}: its path cannot be followed: {reason}; accepted is the path of a"
            " file in a directory that is there"
        ) from error


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turn what a database driver raises within the block into a ``DatabaseError`` of one line."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise DatabaseError(
            f"database {display_url(url)}: {without_parameters(describe(error), url)}"
        ) from error


def describe(error: BaseException) -> str:
    """Return what an error of a driver says, in one line, and without the rows that it is about."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause)
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary is not None:
        family = (cause.sqlstate or "")[:2]
        primary, detail = cause.diag.message_primary, cause.diag.message_detail
        if family == _DATA_DO_NOT_FIT:
            primary = _QUOTED.sub('"..."', primary)
        text = "; ".join(filter(None, (primary, None if family in _STATES_ABOUT_ROWS else detail)))
    if isinstance(cause, adbc_driver_manager.Error):
        # the driver of SQLite repeats the statement
        text = text.partition("\nquery: ")[0]
    return " ".join(text.split())


def error_text(error: BaseException) -> str:
    """Return the message of an error if it holds no personal data for certain, else its type."""
    if is_from_driver(error):
        return describe(error)
    if isinstance(error, EmailSchedulerError):
        return " ".join(str(error).split())
    return type(error).__name__


def is_locked(error: BaseException) -> bool:
    """Tell whether an error of a driver means that somebody else is using the database just now."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error):
        return cause.sqlstate in _PASSING_STATES
    return is_from_driver(error) and " is locked" in str(error)


def is_unreachable(error: BaseException) -> bool:
    """Tell whether an error of a driver means that the server is away, perhaps only for a moment."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError):
        return False
    if cause.sqlstate is not None:
        return cause.sqlstate in _UNREACHABLE_STATES or cause.sqlstate.startswith(_CONNECTION_STATES)
    text = str(cause)
    if _SETTINGS_REFUSED.search(text):
        return False
    return _REFUSAL not in text or any(passing in text for passing in _PASSING_REFUSALS)


def is_from_driver(error: BaseException | None) -> bool:
    """Tell whether an error comes from a driver or the operating system: it may not last."""
    return isinstance(error, DRIVER_ERRORS)


def retrying(config: SchedulerConfig) -> Retrying:
    """Return what calls a function again while the database is locked or away.

    ``retrying(config)(function, ...)`` tries ``processing.max_retry_attempts`` more times, first after
    ``processing.retry_delay`` seconds, then after twice as long each time, up to a minute, with some jitter.
    The last error is raised as it is.
    """
    delay = config.processing.retry_delay
    return Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(1 + config.processing.max_retry_attempts),
        wait=wait_exponential(multiplier=delay, max=max(delay, _LONGEST_WAIT_SECONDS))
        + wait_random(0, delay / 2),
        before_sleep=_log_retry,
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error, DatabaseError) and error.__cause__ is not None else error
    return is_locked(cause) or is_unreachable(cause)


def _log_retry(state: RetryCallState) -> None:
    _logger.warning(
        "the database is locked or cannot be reached; attempt %d, next one in %.1f seconds",
        state.attempt_number,
        state.upcoming_sleep,
    )
