"""What every asset begins with: its partition, the organisation's settings, its frames, a clock and a log.

The log is a story, a sentence for each phase. Sentences of a short time are one message, since each message
is an event that Dagster keeps.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from email_scheduler.clock import PhaseTimer
from email_scheduler.config import SchedulerConfig
from email_scheduler.orchestration.asset_frames import (
    CAMPAIGNS,
    CONTACTS,
    EMAIL_HISTORY,
    ENGAGEMENT,
    Frames,
    plan_inputs,
)
from email_scheduler.orchestration.failures import failures
from email_scheduler.orchestration.io_managers import FramesIOManager
from email_scheduler.orchestration.metadata import seconds_by_phase
from email_scheduler.orchestration.partitions import Partition, SchedulerResource
from email_scheduler.planning import PlanInputs, PlanningBasis, planning_basis

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
# How long a sentence may wait for others, in seconds.
_LONGEST_WAIT: Final = 5.0
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


@dataclass(frozen=True)
class AssetRun:
    """One asset of one partition while it is made.

    Attributes:
        partition: What it is about.
        url: The organisation's database.
        source: Where the inputs are read: the copy of the database if there is one.
        config: The organisation's configuration.
        stored: Keeps the frames of all assets.
        timer: Takes the time of each phase.
    """

    partition: Partition
    url: str
    source: str
    config: SchedulerConfig
    stored: FramesIOManager
    timer: PhaseTimer

    @property
    def as_of(self) -> date:
        """The date that the plan is made for."""
        return self.partition.as_of

    def frames(self, asset: str, *, is_last: bool = False) -> Frames:
        """Return the value of an asset that this one depends on; as ``FramesIOManager.load``."""
        return self.stored.load(asset, self.partition, is_last=is_last)

    def inputs(self, *, with_engagement: bool = False) -> PlanInputs:
        """Return the tables that the input assets hold; without engagement nobody clicked or answered."""
        contacts, campaigns, history = map(self.frames, (CONTACTS, CAMPAIGNS, EMAIL_HISTORY))
        engagement = self.frames(ENGAGEMENT) if with_engagement else None
        return plan_inputs(self.as_of, contacts, campaigns, history, engagement)

    def basis(self) -> PlanningBasis:
        """Return what the planning rules look at."""
        return planning_basis(self.inputs(), self.frames(CONTACTS)["valid_contacts"], self.config)

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


class _Story:
    """Sentences on their way into a log."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._sentences: list[str] = []
        self._since = time.perf_counter()

    def add(self, said: str) -> None:
        """Tell a sentence, at the latest with the first one that comes after the longest wait."""
        self._sentences.append(said)
        if time.perf_counter() - self._since >= _LONGEST_WAIT:
            self.tell()

    def tell(self) -> None:
        """Tell what has not been told."""
        if self._sentences:
            self._log(" ".join(self._sentences))
        self._sentences, self._since = [], time.perf_counter()


@contextmanager
def planning_step(
    context: dg.AssetExecutionContext, scheduler: SchedulerResource, stored: FramesIOManager, phase: str
) -> Iterator[AssetRun]:
    """Begin an asset's work; errors of the package become failures that say whether to try again."""
    partition = Partition.of(context.partition_key)
    with failures():
        settings = scheduler.organization(partition.organization)
        story = _Story(context.log.info)
        timer = PhaseTimer(log=story.add, in_words=sentence)
        source = settings.replica or settings.url
        step = AssetRun(partition, settings.url, source, settings.config, stored, timer)
        step.timer.begin(phase)
        try:
            yield step
        finally:
            story.tell()
