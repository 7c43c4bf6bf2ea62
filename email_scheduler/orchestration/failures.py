"""What Dagster is told when something goes wrong: some of it passes if one waits, the rest needs a person."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from email_scheduler.errors import DatabaseError, EmailSchedulerError, PlannerLockedError

# What does not pass by itself.
_NEEDS_A_PERSON: Final = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EFBIG: "files of that size are not allowed there (ulimit -f)",
    errno.EACCES: "give the user of Dagster the right to it",
    errno.EPERM: "give the user of Dagster the right to it",
    errno.EROFS: "make it writable",
}
_PACKAGE: Final = "email_scheduler/"


@contextmanager
def failures() -> Iterator[None]:
    """Let what may pass by itself be tried again, and end the run with one clear message for everything else.

    A database that cannot be reached or written just now, and a planner that holds the database, are tried
    again by the retry policy. A plan that breaks a rule, a plan that is older than the published one, and a
    configuration or table that is not accepted, would fail in the same way every time.

    What Dagster keeps of an error is what this package says of it: not what a driver said, whose message may
    show rows and parameters, and of an error that nobody expected its type and place.
    """
    try:
        yield
    except EmailSchedulerError as error:
        if _may_pass(error):
            raise error from None
        raise refusal(f"{type(error).__name__}: {error}") from None
    except (dg.DagsterError, dg.Failure):
        raise
    except Exception as error:
        raise dg.Failure(description=_place(error)) from None


def _place(error: Exception) -> str:
    from email_scheduler.database import error_text  # noqa: PLC0415 - see below

    steps = [step for step in traceback.extract_tb(error.__traceback__) if _PACKAGE in step.filename]
    places = [f"{step.filename[step.filename.rindex(_PACKAGE) :]}:{step.lineno}" for step in steps]
    name, said = type(error).__name__, error_text(error)
    return f"{name if said == name else f'{name}: {said}'}, at {' > '.join(places)}"


def refusal(message: str) -> dg.Failure:
    """Return the failure that is not tried again."""
    return dg.Failure(description=message, allow_retries=False)


def failure_of_disk(what: str, error: OSError) -> dg.Failure:
    """Return the failure of a file that could not be read or written: what, why, where, and what to do."""
    why = "; ".join(map(str, filter(None, (error.strerror or str(error), error.filename))))
    remedy = _NEEDS_A_PERSON.get(error.errno or 0)
    if remedy is None:
        return dg.Failure(description=f"{what}: {why} (orchestration.storage_url)")
    return refusal(
        f"{what}: {why}; {remedy} (orchestration.storage_url) and launch the partition again."
        " Nothing was published"
    )


def _may_pass(error: EmailSchedulerError) -> bool:
    # the drivers take half a second to load, which importing the definitions must not
    from email_scheduler.database import is_from_driver  # noqa: PLC0415

    if isinstance(error, PlannerLockedError):
        return True
    return isinstance(error, DatabaseError) and is_from_driver(error.__cause__)
