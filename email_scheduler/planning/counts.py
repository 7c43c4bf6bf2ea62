"""What a plan comes to, counted once: everything that is shown of it is a grouping of these cubes."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.planning.chunks import side_by_side
from email_scheduler.planning.cube import ALL_ROWS, Axis, Cube, Rows, names_of
from email_scheduler.planning.dates import to_day
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.registry.email_types import FOLLOW_UP_TYPES, PRE_SCHEDULED

# Emails that are moved further than that count under it.
MOST_DAYS_MOVED: Final = 400
# What stands for the state of a contact that is not among the valid ones.
UNKNOWN_STATE: Final = "unknown"

_ROWS_AT_A_TIME: Final = 1 << 18


@dataclass(frozen=True)
class PlanCounts:
    """How many rows a plan has of each kind.

    State and day together make twenty times as many cells as each by itself (37,000 for 100,000 contacts),
    and nobody asks for both: each cube holds what is asked for together. Counts of parts of a plan add up to
    those of the whole.

    Attributes:
        rows: By ``email_type``, ``status``, ``reason``, ``state`` and ``adjustment``; the reason is the skip
            reason, or the status of a row without one.
        days: Planned emails by ``email_type`` and ``day``, the number of days after the as-of date.
        moves: Planned emails that have an adjustment, by ``adjustment`` and ``days_moved`` from the ideal
            date, negative: earlier.
        campaigns: Emails of campaigns, follow-ups aside, by ``campaign_instance_id`` and ``status``.
    """

    rows: Cube
    days: Cube
    moves: Cube
    campaigns: Cube

    @classmethod
    def of(cls, schedules: pd.DataFrame, contacts: pd.DataFrame, as_of: date) -> "PlanCounts":
        """Count rows (``EMAIL_SCHEDULES``), all of a plan or some.

        Args:
            schedules: The rows.
            contacts: ``CONTACTS``: the valid contacts.
            as_of: The date that the plan is made for.
        """
        ids = SortedIds(contacts["contact_id"].to_numpy())
        # the last one is that of contacts that are not there
        states = np.append(contacts["state"].cat.codes.to_numpy(), -1)
        names = contacts["state"].cat.categories

        def count(first: int) -> PlanCounts:
            rows = schedules[first : first + _ROWS_AT_A_TIME]
            own = states[ids.positions(rows["contact_id"].to_numpy())]
            return cls._of_part(rows, pd.Series(pd.Categorical.from_codes(own, names)), to_day(as_of))

        return cls.sum(side_by_side(count, range(0, max(len(schedules), 1), _ROWS_AT_A_TIME)))

    @classmethod
    def _of_part(cls, rows: pd.DataFrame, state: pd.Series, first_day: int) -> "PlanCounts":
        days, ideal, instances, initial = (
            rows[name].to_numpy()
            for name in (
                *("scheduled_send_date", "ideal_send_date"),
                *("campaign_instance_id", "initial_email_id"),
            )
        )
        is_planned = is_label(rows["status"], [PRE_SCHEDULED])
        planned = np.flatnonzero(is_planned)
        moved = np.flatnonzero(is_planned & (rows["adjustment"].cat.codes.to_numpy() >= 0))
        own = np.flatnonzero((instances != 0) & (initial == 0))
        by_days = np.clip(days[moved] - ideal[moved], -MOST_DAYS_MOVED, MOST_DAYS_MOVED)
        return cls(
            rows=Cube.count(
                {
                    "email_type": Axis.of_labels(rows["email_type"]),
                    "status": Axis.of_labels(rows["status"]),
                    "reason": reasons(rows),
                    "state": Axis.of_labels(state, missing=UNKNOWN_STATE),
                    "adjustment": Axis.of_labels(rows["adjustment"]),
                }
            ),
            days=Cube.count(
                {
                    "email_type": Axis.of_labels(rows["email_type"], planned),
                    "day": Axis.of_numbers(days[planned] - np.int32(first_day)),
                }
            ),
            moves=Cube.count(
                {
                    "adjustment": Axis.of_labels(rows["adjustment"], moved),
                    "days_moved": Axis.of_numbers(by_days),
                }
            ),
            campaigns=Cube.count(
                {
                    "campaign_instance_id": Axis.of_numbers(instances[own]),
                    "status": Axis.of_labels(rows["status"], own),
                }
            ),
        )

    @classmethod
    def sum(cls, parts: list["PlanCounts"]) -> "PlanCounts":
        """Return the counts of the rows of all parts; at least one."""
        return cls(
            rows=Cube.sum([each.rows for each in parts]),
            days=Cube.sum([each.days for each in parts]),
            moves=Cube.sum([each.moves for each in parts]),
            campaigns=Cube.sum([each.campaigns for each in parts]),
        )

    def __add__(self, other: "PlanCounts") -> "PlanCounts":
        return PlanCounts.sum([self, other])

    def __sub__(self, other: "PlanCounts") -> "PlanCounts":
        return PlanCounts(
            rows=self.rows - other.rows,
            days=self.days - other.days,
            moves=self.moves - other.moves,
            campaigns=self.campaigns - other.campaigns,
        )


def taken_by_day(counts: PlanCounts, fixed: pd.Series, days: int, as_of: date) -> list[int]:
    """Return the emails of each day from the as-of date on that are not the plan's.

    Args:
        counts: Of the plan.
        fixed: Emails of each day that balancing could not move, planned follow-ups among them; the index
            holds day numbers.
        days: How many days.
        as_of: The date that the plan is made for.
    """
    first = to_day(as_of)
    kept = fixed.reindex(range(first, first + days), fill_value=0)
    follow_ups = counts.days.where(email_type=FOLLOW_UP_TYPES).from_number("day", 0, days)
    return [int(count) - own for count, own in zip(kept, follow_ups, strict=True)]


def emails_by_day(counts: PlanCounts, fixed: pd.Series, days: int, as_of: date) -> list[int]:
    """Return the emails of each day from the as-of date on, whosever they are; arguments as above."""
    taken = taken_by_day(counts, fixed, days, as_of)
    return [own + other for own, other in zip(counts.days.from_number("day", 0, days), taken, strict=True)]


def reasons(rows: pd.DataFrame, at: Rows = ALL_ROWS) -> Axis:
    """Return the skip reason of rows at some positions, or the status of those that have none."""
    skip, status = rows["skip_reason"].cat, rows["status"].cat
    codes = skip.codes.to_numpy()[at]
    names = [*names_of(rows["skip_reason"]), *names_of(rows["status"])]
    has_none = np.flatnonzero(codes < 0)
    codes = codes.astype(np.int32)
    codes[has_none] = status.codes.to_numpy()[at][has_none] + np.int32(len(skip.categories))
    return Axis(codes, names)
