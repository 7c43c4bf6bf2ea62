"""What one plan does differently from another, email by email: two plans of the same organisation and day."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning.vocabulary import PRE_SCHEDULED
from email_scheduler.storage.compare import PLANNER_ROWS, Positions, compare, existing_rows

# What becomes of an email: it goes out only with the new plan, on a later or an earlier day, not any more,
# or on the same day with something else about it, such as another template or time.
KINDS: Final = ("added", "later", "earlier", "dropped", "altered")
UNKNOWN_STATE: Final = "unknown"


@dataclass(frozen=True)
class DifferenceOfPlans:
    """What becomes of emails that go out; skipped rows are none.

    Attributes:
        rows: One row for each state and email type in which something becomes of an email: ``state`` and
            ``email_type`` (text), and the number of emails of each of ``KINDS`` (int), by state and type.
        dropped_by_reason: The skip reasons of emails that go out no more; ``not planned any more`` where
            there is no row.
        before, after: Emails that go out with the one plan, and with the other.
    """

    rows: pd.DataFrame
    dropped_by_reason: dict[str, int]
    before: int
    after: int

    @property
    def totals(self) -> dict[str, int]:
        """The number of emails of each of ``KINDS``."""
        return {kind: int(self.rows[kind].sum()) for kind in KINDS}

    def by(self, column: str) -> pd.DataFrame:
        """Return the same numbers by ``state`` or ``email_type`` only."""
        return self.rows.groupby(column, sort=True)[list(KINDS)].sum().reset_index()


def difference_of_configurations(
    inputs: PlanInputs, before: SchedulerConfig, after: SchedulerConfig
) -> DifferenceOfPlans:
    """Plan with two configurations and compare; nothing is published.

    Raises:
        PlanningError: A plan cannot be made from the inputs.
    """
    return difference_of_plans(make_plan(inputs, before), make_plan(inputs, after))


def difference_of_plans(before: Plan, after: Plan) -> DifferenceOfPlans:
    """Compare two plans of the same contacts and day."""
    old, new = before.schedules, after.schedules
    matches, is_altered = match_plans(new, old)
    goes, went = _goes_out(new), _goes_out(old)
    there = np.flatnonzero(matches >= 0)
    other = matches[there]
    days = new["scheduled_send_date"].to_numpy()[there] - old["scheduled_send_date"].to_numpy()[other]
    both = goes[there] & went[other]
    stopped = there[~goes[there] & went[other]]
    gone = np.setdiff1d(np.flatnonzero(went), other)
    added = np.concatenate([there[goes[there] & ~went[other]], np.flatnonzero(goes & (matches < 0))])
    parts = {
        "added": [(new, added)],
        "later": [(new, there[both & (days > 0)])],
        "earlier": [(new, there[both & (days < 0)])],
        "dropped": [(new, stopped), (old, gone)],
        "altered": [(new, there[both & (days == 0) & is_altered[there]])],
    }
    reasons = new["skip_reason"].iloc[stopped].astype("str").value_counts()
    dropped = {str(reason): int(count) for reason, count in reasons.items()}
    if len(gone):
        dropped["not planned any more"] = len(gone)
    return DifferenceOfPlans(
        rows=_counted(parts, _states(before, after)),
        dropped_by_reason=dropped,
        before=int(np.count_nonzero(went)),
        after=int(np.count_nonzero(goes)),
    )


def match_plans(planned: pd.DataFrame, other: pd.DataFrame) -> tuple[Positions, npt.NDArray[np.bool_]]:
    """Match two plans (``EMAIL_SCHEDULES``) by occurrence.

    Returns:
        For each row of ``planned`` the position of the row of ``other`` for the same occurrence, -1 where
        there is none; and whether what the two hold differs.
    """
    rows = PLANNER_ROWS.build({"id": np.arange(1, len(other) + 1), **other})
    difference = compare(planned, existing_rows(rows))
    return difference.matches, difference.is_changed


def _goes_out(schedules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = (schedules["status"] == PRE_SCHEDULED).to_numpy()
    return result


def _states(*plans: Plan) -> pd.Series:
    """Return the state of each contact, by its id."""
    contacts = pd.concat([plan.contacts[["contact_id", "state"]].astype({"state": "str"}) for plan in plans])
    return contacts.drop_duplicates("contact_id").set_index("contact_id")["state"]


def _counted(parts: dict[str, list[tuple[pd.DataFrame, Positions]]], states: pd.Series) -> pd.DataFrame:
    emails = pd.concat(
        [
            pd.DataFrame(
                {
                    "contact_id": rows["contact_id"].to_numpy()[positions],
                    "email_type": rows["email_type"].iloc[positions].astype("str").to_numpy(),
                    "kind": np.full(len(positions), KINDS.index(kind), np.int8),
                }
            )
            for kind, each in parts.items()
            for rows, positions in each
        ],
        ignore_index=True,
    )
    emails["state"] = emails["contact_id"].map(states).fillna(UNKNOWN_STATE)
    names = ["state", "email_type"]
    if emails.empty:
        return pd.DataFrame(
            {name: pd.Series(dtype="int64" if name in KINDS else "str") for name in (*names, *KINDS)}
        )
    counts = pd.crosstab([emails[name] for name in names], emails["kind"])
    numbered = counts.reindex(columns=range(len(KINDS)), fill_value=0)
    return numbered.set_axis(list(KINDS), axis="columns").reset_index()
