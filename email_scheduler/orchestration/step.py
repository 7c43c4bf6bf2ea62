"""What every asset begins with: its partition, the settings of the organisation, and a clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from email_scheduler.clock import PhaseTimer
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.orchestration.failures import failures
from email_scheduler.orchestration.metadata import seconds_by_phase
from email_scheduler.orchestration.partitions import Partition
from email_scheduler.orchestration.resources import SchedulerResource
from email_scheduler.orchestration.story import sentence
from email_scheduler.orchestration.values import Frames, plan_inputs
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.plan import planning_basis

# Dagster 1.13 takes an annotation with a parameter for the type of one output, where an asset with checks has
# several.
if TYPE_CHECKING:
    FramesResult = dg.MaterializeResult[Frames]
    PublishResult = dg.MaterializeResult[None]
else:
    FramesResult = PublishResult = dg.MaterializeResult


@dataclass(frozen=True)
class Step:
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
) -> Iterator[Step]:
    """Begin an asset's work; errors of the package become failures that say whether to try again."""
    partition = Partition.of(context.partition_key)
    with failures():
        settings = scheduler.organization(partition.organization)
        timer = PhaseTimer(log=context.log.info, in_words=sentence)
        step = Step(partition, settings.url, settings.replica or settings.url, settings.config, timer)
        step.timer.begin(phase)
        yield step
