"""What every asset begins with: its partition, the settings of the organisation, a clock and a log.

The log is a story, a sentence for each phase. Of the errors of the package some pass if one waits, the others
need a person.
"""

import errno
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from email_scheduler.clock import PhaseTimer
from email_scheduler.config import SchedulerConfig
from email_scheduler.errors import DatabaseError, EmailSchedulerError, PlannerLockedError
from email_scheduler.orchestration.asset_frames import Frames, plan_inputs
from email_scheduler.orchestration.metadata import seconds_by_phase
from email_scheduler.orchestration.partitions import Partition, SchedulerResource
from email_scheduler.planning import PlanningBasis, planning_basis

# Phase to what it has done when it is over.
_SENTENCES: Final = {
    "read": "Read the organisation's tables",
    "validate contacts": "Judged which contacts are valid",
    "look ahead": "Looked a year ahead for the days on which contacts are excluded",
    "anniversaries": "Planned the anniversary and post-window emails",
    "campaigns": "Planned the campaign emails",
    "follow up": "Planned the follow-ups",
    "put together": "Put the emails of all kinds together",
    "balancing": "Chose the day of each email",
    "limits": "Applied the limits per contact",
    "rows": "Made the rows of the plan",
    "prove": "Proved the plan rule by rule",
    "draw": "Drew the charts",
    "wait for the planner lock": "Got the planner lock",
    "compare": "Compared the plan with the table",
    "finish the backup": "Waited for the backup of the day",
    "write": "Wrote what differs",
    "read again": "Read the table again",
    "report": "Made the report",
}
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
# Dagster 1.13 takes an annotation with a parameter for the type of one output, where an asset with checks has
# several.
if TYPE_CHECKING:
    FramesResult = dg.MaterializeResult[Frames]
    PublishResult = dg.MaterializeResult[None]
else:
    FramesResult = PublishResult = dg.MaterializeResult


def sentence(phase: str, seconds: float, amount: str) -> str:
    """Return what a phase has done.

    Args:
        phase: Its name.
        seconds: How long it took.
        amount: What it came to; empty where that is said elsewhere.
    """
    result = f": {amount}" if amount else ""
    return f"{_SENTENCES.get(phase, phase.capitalize())} in {seconds:.2f} s{result}."


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


@dataclass(frozen=True)
class AssetRun:
    """One asset of one partition while it is made.

    Attributes:
        partition: What it is about.
        url: The organisation's database.
        source: Where the inputs are read: the copy of the database if there is one.
        config: The organisation's configuration.
        timer: Takes the time of each phase.
    """

    partition: Partition
    url: str
    source: str
    config: SchedulerConfig
    timer: PhaseTimer

    @property
    def as_of(self) -> date:
        """The date that the plan is made for."""
        return self.partition.as_of

    def basis(self, contacts: Frames, campaigns: Frames, email_history: Frames) -> PlanningBasis:
        """Return what the planning rules look at."""
        inputs = plan_inputs(self.as_of, contacts, campaigns, email_history)
        return planning_basis(inputs, contacts["valid_contacts"], self.config)

    def begin(self, phase: str, result: str = "") -> None:
        """End the phase before, which came to ``result``, and begin another one."""
        self.timer.amount = result
        self.timer.begin(phase)
        self.timer.amount = ""

    def result(
        self, value: Frames, metadata: Mapping[str, Any], checks: list[dg.AssetCheckResult] | None = None
    ) -> FramesResult:
        """Return a value with its metadata; the time since ``timer.begin`` is that of its last phase."""
        self.timer.end()
        return dg.MaterializeResult(
            value=value,
            metadata={**metadata, **seconds_by_phase(self.timer.seconds)},
            check_results=checks or [],
        )


@contextmanager
def planning_step(
    context: dg.AssetExecutionContext, scheduler: SchedulerResource, phase: str
) -> Iterator[AssetRun]:
    """Begin an asset's work; errors of the package become failures that say whether to try again."""
    partition = Partition.of(context.partition_key)
    with failures():
        settings = scheduler.organization(partition.organization)
        timer = PhaseTimer(log=context.log.info, in_words=sentence)
        step = AssetRun(partition, settings.url, settings.replica or settings.url, settings.config, timer)
        step.timer.begin(phase)
        yield step
