"""What publishing a plan changes, or would change, in ``email_schedules``, in numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.database.campaign_changes import change_effects
from email_scheduler.planning import (
    Axis,
    Breakdown,
    Cube,
    Label,
    Plan,
    PlanDifference,
    PlanInputs,
    Positions,
    compare,
    is_label,
    reasons,
    without_senders_rows,
)
from email_scheduler.registry import PRE_SCHEDULED

# What becomes of a row of the table: it is new, it stays and gets another content, it leaves for the archive,
# or it is there already as planned; or none of these, since the sending system took its email meanwhile.
ADDED: Final = "added"
CHANGED: Final = "changed"
REMOVED: Final = "removed"
UNCHANGED: Final = "unchanged"
DROPPED: Final = "dropped"

# What becomes of an email: it goes out only from now on, on a later or an earlier day, not any more, or on
# the same day with something else about it; or it goes out neither before nor after.
GOES_OUT: Final = "added"
LATER: Final = "later"
EARLIER: Final = "earlier"
CANCELLED: Final = "cancelled"
ALTERED: Final = "altered"
SKIPPED_OTHERWISE: Final = "skipped otherwise"
EMAIL_CHANGES: Final = (GOES_OUT, LATER, EARLIER, CANCELLED)
EMAIL_KINDS: Final = (GOES_OUT, CANCELLED, SKIPPED_OTHERWISE, LATER, EARLIER, ALTERED)

# What emails are added or moved or cancelled under that have no skip reason or adjustment for it.
NEW: Final = "new"
ON_IDEAL_DATE: Final = "on its ideal date"
LEFT_THE_PLAN: Final = "left the plan"

_AXES: Final = ("row", "email", "email_type", "reason", "reason_before", "adjustment")
EMAIL_AXES: Final = ("change", "email_type", "reason")
_Flags = npt.NDArray[np.bool_]


def email_change_codes(
    went: _Flags, goes: _Flags, days_later: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """Return what becomes of emails, as positions in ``EMAIL_KINDS``.

    Args:
        went: Whether each goes out with the one plan.
        goes: Whether it goes out with the other.
        days_later: How much later.
    """
    conditions = [~went & goes, went & ~goes, ~went, days_later > 0, days_later < 0]
    return np.select(conditions, range(len(conditions)), len(conditions))


@dataclass(frozen=True)
class PlanChanges:
    """What becomes of rows and of their emails.

    Attributes:
        cube: Rows by ``row`` (added, changed, removed; unchanged and dropped ones have no other label),
            ``email`` (what becomes of the email), ``email_type``, ``reason`` (the skip reason, or the status
            where there is none; of changed rows the new one), ``reason_before`` (the skip reason of the row
            there) and ``adjustment``.
    """

    cube: Cube

    @classmethod
    def none(cls, unchanged: int = 0, dropped: int = 0) -> "PlanChanges":
        """Return that rows stay as they are, or are dropped."""
        nothing = (None,) * (len(_AXES) - 1)
        return cls(Cube.of_cells(_AXES, {(UNCHANGED, *nothing): unchanged, (DROPPED, *nothing): dropped}))

    @classmethod
    def of(
        cls,
        planned: pd.DataFrame,
        existing: pd.DataFrame,
        difference: PlanDifference,
        *,
        written: Positions,
        removed: Positions,
    ) -> "PlanChanges":
        """Count the rows that are written and those that leave.

        Args:
            planned: The plan (``EMAIL_SCHEDULES``).
            existing: The planned rows there (``EXISTING_ROWS``).
            difference: Of the two.
            written: Positions in the plan of the rows that are added or changed.
            removed: Positions of the rows there that leave.
        """
        return cls(_written(planned, existing, difference, written) + _removed(existing, removed))

    def __add__(self, more: "PlanChanges") -> "PlanChanges":
        return PlanChanges(self.cube + more.cube)

    @property
    def totals(self) -> dict[str, int]:
        """The rows added, changed, removed and unchanged, whatever their type."""
        counts = self.cube.counts_by("row")
        return {kind: counts.get(kind, 0) for kind in (ADDED, CHANGED, REMOVED, UNCHANGED)}

    @property
    def dropped(self) -> int:
        """Rows of the plan for what the sending system took while the plan was made."""
        return self.cube.where(row=DROPPED).total

    @property
    def by_type(self) -> Breakdown:
        """The rows added, changed and removed, by email type."""
        kinds = (ADDED, CHANGED, REMOVED)
        table = self.cube.where(row=kinds).table("email_type", "row")
        return {name: {kind: table[name].get(kind, 0) for kind in kinds} for name in sorted(table)}

    def rows(self, kind: str) -> Breakdown:
        """Return the rows added, changed or removed, by email type and reason."""
        return _sorted(self.cube.where(row=kind).table("email_type", "reason"))

    @property
    def emails(self) -> "EmailChanges":
        """What becomes of emails that go out, before or after."""
        return EmailChanges(
            Cube.sum(
                [
                    self._emails(GOES_OUT, "reason_before", lambda reason: reason or NEW),
                    self._emails((LATER, EARLIER), "adjustment", lambda name: name or ON_IDEAL_DATE),
                    self._emails(CANCELLED, "reason", lambda reason: reason, row=CHANGED),
                    self._emails(CANCELLED, "reason", lambda _: LEFT_THE_PLAN, row=REMOVED),
                ]
            )
        )

    def _emails(
        self,
        kinds: str | tuple[str, ...],
        why: str,
        name: Callable[[Label], Label],
        row: str | tuple[str, ...] = (ADDED, CHANGED),
    ) -> Cube:
        found = self.cube.where(email=kinds, row=row).by("email", "email_type", why).renamed(why, name)
        return Cube(dict(zip(EMAIL_AXES, found.legends.values(), strict=True)), found.codes, found.counts)


@dataclass(frozen=True)
class EmailChanges:
    """Emails that go out by what becomes of them; skipped rows are none.

    Attributes:
        cube: Emails by ``change``, ``email_type`` and ``reason``. The reason of those added is ``NEW``, or
            why they were skipped; of those that go out on a later or an earlier day than before the
            adjustment that they have now, ``ON_IDEAL_DATE`` where there is none; of those cancelled their
            skip reason, ``LEFT_THE_PLAN`` where there is no row any more.
    """

    cube: Cube

    @classmethod
    def none(cls) -> "EmailChanges":
        """Return that nothing becomes of any email."""
        return cls(Cube.empty(*EMAIL_AXES))

    def __add__(self, more: "EmailChanges") -> "EmailChanges":
        return EmailChanges(self.cube + more.cube)

    @property
    def totals(self) -> dict[str, int]:
        """The emails added, moved to a later or earlier day, and cancelled, whatever their type."""
        counts = self.cube.counts_by("change")
        return {kind: counts.get(kind, 0) for kind in EMAIL_CHANGES}

    def document(self) -> dict[str, Breakdown]:
        """Return change to email type to reason to emails, types and reasons in alphabetical order."""
        return {
            kind: _sorted(self.cube.where(change=kind).table("email_type", "reason"))
            for kind in EMAIL_CHANGES
        }

    @classmethod
    def of_document(cls, document: dict[str, Breakdown]) -> "EmailChanges":
        """Return what ``document`` has returned."""
        return cls(
            Cube.of_cells(
                EMAIL_AXES,
                {
                    (kind, email_type, reason): count
                    for kind, types in document.items()
                    for email_type, reasons in types.items()
                    for reason, count in reasons.items()
                },
            )
        )


def preview_changes(plan: Plan, inputs: PlanInputs, existing: pd.DataFrame) -> PlanChanges:
    """Return what publishing a plan would change.

    Args:
        plan: The plan.
        inputs: What it was made from.
        existing: The planned rows there (``EXISTING_ROWS``).
    """
    existing = without_senders_rows(existing, inputs.history)
    difference = compare(plan.schedules, existing)
    changes = PlanChanges.of(
        plan.schedules,
        existing,
        difference,
        written=np.concatenate([difference.added, difference.changed]),
        removed=difference.removed,
    )
    return changes + PlanChanges.none(difference.unchanged_count)


def preview_effects(
    plan: Plan, inputs: PlanInputs, existing: pd.DataFrame, changes: pd.DataFrame
) -> pd.DataFrame:
    """Return what publishing a plan would alter for each change of campaigns (``CHANGE_EFFECTS``).

    Args:
        plan: The plan.
        inputs: What it was made from.
        existing: The planned rows there (``EXISTING_ROWS``).
        changes: ``CAMPAIGN_CHANGES``, read with the inputs.
    """
    existing = without_senders_rows(existing, inputs.history)
    difference = compare(plan.schedules, existing)
    return change_effects(changes, plan.schedules, existing, difference, inputs.campaign_instances)


def _written(
    planned: pd.DataFrame, existing: pd.DataFrame, difference: PlanDifference, written: Positions
) -> Cube:
    # only the rows at hand are looked at: a plan is written in hundreds of batches
    before = difference.matches[written]
    is_new = before < 0
    there, stay = existing.iloc[before[~is_new]], np.flatnonzero(~is_new)
    went, days_before = np.zeros(len(written), np.bool_), np.zeros(len(written), np.int32)
    went[stay] = is_label(there["status"], [PRE_SCHEDULED])
    days_before[stay] = there["scheduled_send_date"].to_numpy()
    reason = Axis.of_labels(there["skip_reason"])
    reason_before = np.full(len(written), len(reason.labels) - 1)
    reason_before[stay] = reason.codes
    goes = is_label(planned["status"].iloc[written], [PRE_SCHEDULED])
    days = planned["scheduled_send_date"].to_numpy()[written]
    return Cube.count(
        {
            "row": Axis.of_flags(is_new, ADDED, CHANGED),
            "email": Axis(email_change_codes(went, goes, days - days_before), EMAIL_KINDS),
            "email_type": Axis.of_labels(planned["email_type"], written),
            "reason": reasons(planned, written),
            "reason_before": Axis(reason_before, reason.labels),
            "adjustment": Axis.of_labels(planned["adjustment"], written),
        }
    )


def _removed(existing: pd.DataFrame, removed: Positions) -> Cube:
    went = is_label(existing["status"].iloc[removed], [PRE_SCHEDULED])
    nothing = Axis(np.zeros(len(removed), np.int8), [None])
    return Cube.count(
        {
            "row": Axis(np.zeros(len(removed), np.int8), [REMOVED]),
            "email": Axis.of_flags(went, CANCELLED, SKIPPED_OTHERWISE),
            "email_type": Axis.of_labels(existing["email_type"], removed),
            "reason": reasons(existing, removed),
            "reason_before": nothing,
            "adjustment": nothing,
        }
    )


def _sorted(table: Breakdown) -> Breakdown:
    return {name: dict(sorted(table[name].items())) for name in sorted(table)}
