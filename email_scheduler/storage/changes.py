"""What publishing a plan changes, or would change, in ``email_schedules``, in numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED
from email_scheduler.storage.compare import (
    Breakdown,
    PlanDifference,
    Positions,
    breakdown,
    compare,
    count_by_type_and_reason,
    without_senders_rows,
)
from email_scheduler.storage.seen_changes import change_effects

# What emails are added or moved or cancelled under that have no skip reason or adjustment for it.
NEW: Final = "new"
ON_IDEAL_DATE: Final = "on its ideal date"
LEFT_THE_PLAN: Final = "left the plan"


@dataclass(frozen=True)
class Changes:
    """Rows by what happens to them.

    ``added``, ``changed`` and ``removed`` tell email type to reason to rows; the reason is the skip reason,
    or ``pre-scheduled`` where there is none. Changed rows count under their new type and reason.

    Attributes:
        added: Rows that are new.
        changed: Rows that stay and get another content.
        removed: Rows that leave for the archive.
        unchanged: Rows that are there already as planned.
        dropped: Rows of the plan for what the sending system took while the plan was made; they are in none
            of the other figures.
    """

    added: Breakdown = field(default_factory=dict)
    changed: Breakdown = field(default_factory=dict)
    removed: Breakdown = field(default_factory=dict)
    unchanged: int = 0
    dropped: int = 0

    @property
    def totals(self) -> dict[str, int]:
        """The rows added, changed, removed and unchanged, whatever their type."""
        return {
            "added": _sum(self.added),
            "changed": _sum(self.changed),
            "removed": _sum(self.removed),
            "unchanged": self.unchanged,
        }

    @property
    def by_type(self) -> dict[str, dict[str, int]]:
        """The rows added, changed and removed, by email type."""
        kinds = {"added": self.added, "changed": self.changed, "removed": self.removed}
        types = sorted({email_type for rows in kinds.values() for email_type in rows})
        return {
            email_type: {kind: sum(rows.get(email_type, {}).values()) for kind, rows in kinds.items()}
            for email_type in types
        }

    def plus(self, more: "Changes") -> "Changes":
        """Return the sum of both."""
        return Changes(
            added=_merged(self.added, more.added),
            changed=_merged(self.changed, more.changed),
            removed=_merged(self.removed, more.removed),
            unchanged=self.unchanged + more.unchanged,
            dropped=self.dropped + more.dropped,
        )

    def summary(self) -> dict[str, object]:
        """Return the same for JSON."""
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "dropped": self.dropped,
        }


@dataclass(frozen=True)
class EmailChanges:
    """Emails that go out by what becomes of them; skipped rows are none. Each tells email type to reason.

    Attributes:
        added: Emails that did not go out before: ``NEW``, or the reason why they were skipped.
        later, earlier: Emails that go out on a later or an earlier day than before, by the adjustment that
            they have now; ``ON_IDEAL_DATE`` where there is none.
        cancelled: Emails that go out no more, by their skip reason; ``LEFT_THE_PLAN`` where there is no row
            any more.
    """

    added: Breakdown = field(default_factory=dict)
    later: Breakdown = field(default_factory=dict)
    earlier: Breakdown = field(default_factory=dict)
    cancelled: Breakdown = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int]:
        """The emails added, moved to a later or earlier day, and cancelled, whatever their type."""
        return {name: _sum(rows) for name, rows in self.document().items()}

    def plus(self, more: "EmailChanges") -> "EmailChanges":
        """Return the sum of both."""
        return EmailChanges(
            **{
                each.name: _merged(getattr(self, each.name), getattr(more, each.name))
                for each in fields(self)
            }
        )

    def document(self) -> dict[str, Breakdown]:
        """Return the same for JSON."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Breakdown]) -> "EmailChanges":
        """Return what ``document`` has returned."""
        return cls(**document)


def email_changes(
    planned: pd.DataFrame,
    existing: pd.DataFrame,
    difference: PlanDifference,
    removed: Positions,
    dropped: Positions,
) -> EmailChanges:
    """Return what becomes of emails by publishing a plan.

    Args:
        planned: The plan (``EMAIL_SCHEDULES``).
        existing: The planned rows there before (``EXISTING_ROWS``).
        difference: Of the two.
        removed: Positions of the rows there that leave.
        dropped: Positions in the plan of rows that are not published.
    """
    is_dropped = np.zeros(len(planned), np.bool_)
    is_dropped[dropped] = True
    goes, went = is_label(planned["status"], [PRE_SCHEDULED]), is_label(existing["status"], [PRE_SCHEDULED])
    new = difference.added
    new = new[goes[new] & ~is_dropped[new]]
    changed = difference.changed
    changed = changed[~is_dropped[changed]]
    before = difference.matches[changed]
    is_back, is_stopped = goes[changed] & ~went[before], ~goes[changed] & went[before]
    days, days_before = (rows["scheduled_send_date"].to_numpy() for rows in (planned, existing))
    moved_by = days[changed] - days_before[before]
    both = goes[changed] & went[before]
    gone = removed[went[removed]]
    return EmailChanges(
        added=_merged(
            _by_reason(planned, new, None, new, NEW),
            _by_reason(planned, changed[is_back], existing["skip_reason"], before[is_back], NEW),
        ),
        later=_by_adjustment(planned, changed[both & (moved_by > 0)]),
        earlier=_by_adjustment(planned, changed[both & (moved_by < 0)]),
        cancelled=_merged(
            _by_reason(
                planned, changed[is_stopped], planned["skip_reason"], changed[is_stopped], LEFT_THE_PLAN
            ),
            _by_reason(existing, gone, None, gone, LEFT_THE_PLAN),
        ),
    )


def preview_changes(plan: Plan, inputs: PlanInputs, existing: pd.DataFrame) -> Changes:
    """Return what publishing a plan would change.

    Args:
        plan: The plan.
        inputs: What it was made from.
        existing: The planned rows there (``EXISTING_ROWS``).
    """
    existing = without_senders_rows(existing, inputs.history)
    difference = compare(plan.schedules, existing)
    return Changes(
        added=count_by_type_and_reason(plan.schedules, difference.added),
        changed=count_by_type_and_reason(plan.schedules, difference.changed),
        removed=count_by_type_and_reason(existing, difference.removed),
        unchanged=difference.unchanged_count,
    )


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


def _by_adjustment(planned: pd.DataFrame, positions: Positions) -> Breakdown:
    return _by_reason(planned, positions, planned["adjustment"], positions, ON_IDEAL_DATE)


def _by_reason(
    rows: pd.DataFrame, positions: Positions, reasons: pd.Series | None, reasons_at: Positions, otherwise: str
) -> Breakdown:
    """Count rows by type and a label at other positions; those that have none, or all, ``otherwise``."""
    names: list[object] = [] if reasons is None else [*reasons.cat.categories]
    codes: npt.NDArray[np.int64] = np.full(len(positions), len(names), np.int64)
    if reasons is not None:
        found = reasons.cat.codes.to_numpy()[reasons_at]
        codes = np.where(found >= 0, found, codes)
    return breakdown(rows["email_type"].iloc[positions], codes, [*names, otherwise])


def _sum(rows: Breakdown) -> int:
    return sum(count for reasons in rows.values() for count in reasons.values())


def _merged(rows: Breakdown, more: Breakdown) -> Breakdown:
    return {
        email_type: {
            reason: rows.get(email_type, {}).get(reason, 0) + more.get(email_type, {}).get(reason, 0)
            for reason in sorted(rows.get(email_type, {}).keys() | more.get(email_type, {}).keys())
        }
        for email_type in sorted(rows.keys() | more.keys())
    }
