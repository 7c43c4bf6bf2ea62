"""The partitions of the graph: one for each date, as US Central time counts it, and organisation."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import dagster as dg

from email_scheduler.clock import TIME_ZONE_NAME
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.sections import FIRST_PARTITION_DATE

DATE: Final = "date"
ORGANIZATION: Final = "organization"
# The tags that every run of a partition has, whoever starts it.
ORGANIZATION_PARTITION_TAG: Final = f"dagster/partition/{ORGANIZATION}"
DATE_PARTITION_TAG: Final = f"dagster/partition/{DATE}"


@dataclass(frozen=True)
class Partition:
    """What one materialisation is about.

    Attributes:
        as_of: The date that the plan is made for.
        organization: The name of the organisation.
    """

    as_of: date
    organization: str

    @classmethod
    def of(cls, key: str) -> "Partition":
        """Return what a partition key such as ``2026-11-23|sample`` stands for."""
        # the dimensions stand in the order of their names
        day, _, organization = key.partition("|")
        return cls(date.fromisoformat(day), organization)

    @property
    def key(self) -> dg.MultiPartitionKey:
        """The partition key."""
        return dg.MultiPartitionKey({DATE: self.as_of.isoformat(), ORGANIZATION: self.organization})

    def __str__(self) -> str:
        return str(self.key)


def first_date(config: SchedulerConfig) -> date:
    """Return the first date that there is a partition of."""
    return config.orchestration.partitions_start_date or config.go_live_date or FIRST_PARTITION_DATE


def build_partitions(organizations: Iterable[str], config: SchedulerConfig) -> dg.MultiPartitionsDefinition:
    """Return the partitions of these organisations, from the configured start to today, inclusive."""
    start = first_date(config)
    return dg.MultiPartitionsDefinition(
        {
            # without the offset the last partition would be yesterday's
            DATE: dg.DailyPartitionsDefinition(start.isoformat(), timezone=TIME_ZONE_NAME, end_offset=1),
            ORGANIZATION: dg.StaticPartitionsDefinition(list(organizations)),
        }
    )
