"""What publishing a plan changes, or would change, in ``email_schedules``, in numbers."""

from dataclasses import dataclass, field

import pandas as pd

from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan
from email_scheduler.storage.compare import (
    Breakdown,
    compare,
    count_by_type_and_reason,
    without_senders_rows,
)
from email_scheduler.storage.seen_changes import change_effects


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
