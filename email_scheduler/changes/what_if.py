"""What if: the plan of an organisation with the configuration in force beside that with another one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from email_scheduler.config import KeyDifference, SchedulerConfig, differences
from email_scheduler.database import Besides, read_inputs, refuse_violations, require_current_schema
from email_scheduler.errors import PlanningError
from email_scheduler.files import Output, private_output
from email_scheduler.planning import DATE, LABEL, NO_DATE, Plan, make_plan
from email_scheduler.reports.plan_difference import (
    CHANGED_EMAILS,
    DifferenceOfPlans,
    difference_of_plans,
)
from email_scheduler.reports.summary import capacity_warnings

_ROWS_AT_A_TIME: Final = 1 << 17
# An id that is 0 where there is none.
_OPTIONAL_IDS: Final = ("campaign_instance_id", "initial_email_id")


@dataclass(frozen=True)
class Side:
    """What one of the two plans is like.

    Attributes:
        daily_cap: Emails that a day takes.
        warnings: What finds no place, a sentence each.
    """

    daily_cap: int
    warnings: list[str]

    @classmethod
    def of(cls, plan: Plan) -> "Side":
        """Return what matters of a plan."""
        return cls(plan.daily_cap, capacity_warnings(plan.capacity_shortfall, plan.daily_cap))


@dataclass(frozen=True)
class Comparison:
    """Two plans beside each other.

    Attributes:
        difference: What becomes of emails.
        before, after: The plan with the configuration in force, and with the other one, which was proved.
    """

    difference: DifferenceOfPlans
    before: Side
    after: Side


@dataclass(frozen=True)
class WhatIf:
    """What another configuration would do; nothing was published.

    Attributes:
        as_of: The day that both plans were made for.
        changes: The keys that the configurations say differently.
        comparison: The plans; None if the configurations say the same, and no plan was made.
    """

    as_of: date
    changes: list[KeyDifference]
    comparison: Comparison | None


def what_if(
    url: str,
    before: SchedulerConfig,
    after: SchedulerConfig,
    as_of: date,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
) -> WhatIf:
    """Plan with two configurations from one state of the database, prove the second plan, and compare.

    Args:
        url: The organisation's database, which is only read.
        before: The configuration in force.
        after: The other one.
        as_of: The day to plan for.
        on_phase: Told the name of each phase as it begins.

    Raises:
        DatabaseError: The database cannot be used.
        PlanningError: One of the plans cannot be made, or the second one would not be published; the message
            says with which configuration.
    """
    require_current_schema(url, before)
    changes = list(differences(before.document(), after.document()))
    if not changes:
        return WhatIf(as_of, [], None)
    on_phase("read")
    inputs = read_inputs(url, as_of, before, Besides(configs=(after,)))
    on_phase("plan with the configuration in force")
    with _saying("with the configuration in force"):
        present = make_plan(inputs, before)
    on_phase("plan with the other configuration")
    with _saying("with the other configuration"):
        planned = make_plan(inputs, after)
        on_phase("prove")
        refuse_violations(planned, inputs, after)
    on_phase("compare")
    difference = difference_of_plans(present, planned)
    return WhatIf(as_of, changes, Comparison(difference, Side.of(present), Side.of(planned)))


def write_changed_emails(output: Output, emails: pd.DataFrame) -> int:
    """Write emails that differ as CSV, its owner's alone: ids, types, dates, statuses and reasons.

    Args:
        output: The file.
        emails: ``CHANGED_EMAILS``, whose columns and order are those of the file. Blank cells: there is none.

    Returns:
        How many there are.

    Raises:
        UsageError: The file may not be written, or cannot be.
    """
    schema, options = _table(emails.iloc[:0]).schema, csv.WriteOptions(quoting_style="needed")
    with private_output(output) as file, csv.CSVWriter(file.buffer, schema, write_options=options) as writer:
        for start in range(0, len(emails), _ROWS_AT_A_TIME):
            writer.write_table(_table(emails.iloc[start : start + _ROWS_AT_A_TIME]))
    return len(emails)


def _table(emails: pd.DataFrame) -> pa.Table:
    columns = {}
    for name, kind in CHANGED_EMAILS.columns.items():
        values = emails[name]
        if kind == LABEL:
            columns[name] = pa.array(values.array).cast(pa.string())
        elif kind == DATE:
            days = values.to_numpy()
            columns[name] = pa.array(days, pa.int32(), mask=days == NO_DATE).cast(pa.date32())
        else:
            ids = values.to_numpy()
            is_none = ids == 0 if name in _OPTIONAL_IDS else np.zeros(len(ids), np.bool_)
            columns[name] = pa.array(ids, mask=is_none)
    return pa.table(columns)


@contextmanager
def _saying(which: str) -> Iterator[None]:
    """Let errors of planning say with which configuration they came."""
    try:
        yield
    except PlanningError as error:
        raise type(error)(f"{which}: {error}") from error
