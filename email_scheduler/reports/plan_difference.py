"""What one plan does differently from another, email by email: two plans of the same organisation and day."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    ALTERED,
    CANCELLED,
    EARLIER,
    EMAIL_KINDS,
    GOES_OUT,
    LATER,
    email_change_codes,
)
from email_scheduler.planning import (
    DATE,
    EMAIL_SCHEDULES,
    ID,
    LABEL,
    NO_DATE,
    NUMBER,
    Axis,
    Cube,
    Frame,
    Plan,
    PlanDifference,
    PlanInputs,
    Positions,
    SortedIds,
    common_codes,
    is_label,
    labels,
    make_plan,
    match_occurrences,
    pack,
    row_hashes,
    to_day,
)
from email_scheduler.registry import PRE_SCHEDULED

# What becomes of an email: it goes out only with the new plan, on a later or an earlier day, not any more,
# or on the same day with something else about it, such as another template or time. Emails that go out with
# neither plan have another kind, SKIPPED_OTHERWISE.
DROPPED: Final = "dropped"
KINDS: Final = (GOES_OUT, LATER, EARLIER, DROPPED, ALTERED)
_KINDS: Final = tuple(DROPPED if kind == CANCELLED else kind for kind in EMAIL_KINDS)
NOT_PLANNED: Final = "not planned any more"
UNKNOWN_STATE: Final = "unknown"

# The emails that two plans treat differently. Where a plan has no row for one, its columns are NO_DATE or
# missing.
CHANGED_EMAILS: Final = Frame(
    "changed emails",
    {
        "contact_id": ID,
        "state": LABEL,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "kind": LABEL,
        "status_before": LABEL,
        "date_before": DATE,
        "skip_reason_before": LABEL,
        "adjustment_before": LABEL,
        "status_after": LABEL,
        "date_after": DATE,
        "skip_reason_after": LABEL,
        "adjustment_after": LABEL,
    },
    key=EMAIL_SCHEDULES.key,
    order=EMAIL_SCHEDULES.order,
)
# The planned emails of each day on which one of the plans has any, follow-ups included.
VOLUME_BY_DAY: Final = Frame(
    "volume by day", {"day": DATE, "before": NUMBER, "after": NUMBER}, key=("day",), order=("day",)
)

_TEXTS: Final = ("status", "skip_reason", "adjustment")


@dataclass(frozen=True)
class DifferenceOfPlans:
    """What becomes of emails.

    Attributes:
        emails: ``CHANGED_EMAILS``.
        volume: ``VOLUME_BY_DAY``.
    """

    emails: pd.DataFrame
    volume: pd.DataFrame

    @cached_property
    def counts(self) -> Cube:
        """The emails by ``kind``, ``state``, ``email_type`` and ``reason``, the skip reason afterwards.

        ``NOT_PLANNED`` stands for the reason of those that there is no row for any more.
        """
        return Cube.count(
            {
                "kind": Axis.of_labels(self.emails["kind"]),
                "state": Axis.of_labels(self.emails["state"]),
                "email_type": Axis.of_labels(self.emails["email_type"]),
                "reason": Axis.of_labels(self.emails["skip_reason_after"], missing=NOT_PLANNED),
            }
        )

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The number of emails of each of ``KINDS`` by ``state`` and ``email_type``, in alphabetical order.

        One row for each state and type in which something becomes of an email that goes out with a plan.
        """
        found: dict[tuple[Any, Any], dict[str, int]] = {}
        for (state, email_type, kind), emails in (
            self.counts.where(kind=KINDS).by("state", "email_type", "kind").cells()
        ):
            found.setdefault((state, email_type), dict.fromkeys(KINDS, 0))[str(kind)] = emails
        return [
            {"state": state, "email_type": email_type, **found[state, email_type]}
            for state, email_type in sorted(found)
        ]

    @cached_property
    def dropped_by_reason(self) -> dict[str, int]:
        """The skip reasons of emails that go out no more; ``NOT_PLANNED`` where there is no row."""
        return self.counts.where(kind=DROPPED).most_frequent("reason")

    @property
    def before(self) -> int:
        """Emails that go out with the one plan."""
        return int(self.volume["before"].sum())

    @property
    def after(self) -> int:
        """Emails that go out with the other."""
        return int(self.volume["after"].sum())

    @property
    def totals(self) -> dict[str, int]:
        """The number of emails of each of ``KINDS``."""
        return dict.fromkeys(KINDS, 0) | self.counts.where(kind=KINDS).counts_by("kind")

    def by(self, axis: str) -> dict[str, dict[str, int]]:
        """Return the same numbers by ``state`` or ``email_type`` only, in alphabetical order."""
        table = self.counts.where(kind=KINDS).table(axis, "kind")
        return {label: dict.fromkeys(KINDS, 0) | table[label] for label in sorted(table)}

    def most_different_days(self, count: int) -> pd.DataFrame:
        """Return ``VOLUME_BY_DAY`` of the days whose volumes differ most, the most different first."""
        differs = (self.volume["after"] - self.volume["before"]).abs()
        order = differs[differs > 0].sort_values(ascending=False, kind="stable").index
        return self.volume.loc[order[:count]].reset_index(drop=True)

    def days_from(self, first: int, count: int) -> pd.DataFrame:
        """Return ``VOLUME_BY_DAY`` of ``count`` days from the day ``first`` on, empty ones included."""
        days = pd.Index(np.arange(first, first + count, dtype=np.int32), name="day")
        found = self.volume.set_index("day").reindex(days, fill_value=0).reset_index()
        return VOLUME_BY_DAY.check(found.astype("int32"))


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
    difference = PlanDifference.of(match_occurrences(new, old), row_hashes(new), row_hashes(old))
    changed, added, gone = difference.changed, difference.added, difference.removed
    nothing = np.full(max(len(added), len(gone)), -1, np.intp)
    left = np.concatenate([difference.matches[changed], nothing[: len(added)], gone])
    right = np.concatenate([changed, added, nothing[: len(gone)]])
    return DifferenceOfPlans(_changed_emails(before, after, left, right), _volume(before, after))


def _changed_emails(before: Plan, after: Plan, left: Positions, right: Positions) -> pd.DataFrame:
    """Return ``CHANGED_EMAILS`` of pairs of rows, -1 where a plan has none."""
    old, new = before.schedules, after.schedules
    is_new = right >= 0

    def of_either(name: str) -> npt.NDArray[np.int64]:
        return np.where(is_new, _taken(new[name], right), _taken(old[name], left))

    columns: dict[str, object] = {name: of_either(name) for name in ("contact_id", "campaign_instance_id")}
    columns["state"] = _states(before, after, of_either("contact_id"))
    columns["email_type"] = _labels_of_either(old["email_type"], new["email_type"], left, right)
    columns["event_date"] = of_either("event_date").astype(np.int32)
    columns["initial_email_id"] = of_either("initial_email_id")
    for side, rows, positions in (("before", old, left), ("after", new, right)):
        for name in _TEXTS:
            column = rows[name].array
            codes = _taken(pd.Series(column.codes), positions, -1)
            columns[f"{name}_{side}"] = pd.Categorical.from_codes(codes, dtype=column.dtype)
        columns[f"date_{side}"] = _taken(rows["scheduled_send_date"], positions, NO_DATE)
    went, goes = (
        is_label(pd.Series(columns[f"status_{side}"]), [PRE_SCHEDULED]) for side in ("before", "after")
    )
    days_later = _taken(new["scheduled_send_date"], right) - _taken(old["scheduled_send_date"], left)
    columns["kind"] = labels(email_change_codes(went, goes, days_later), _KINDS)
    emails = CHANGED_EMAILS.build(columns)
    keys = pack([_sortable(emails[name]) for name in CHANGED_EMAILS.order])
    return emails.take(np.argsort(keys, kind="stable")).reset_index(drop=True)


def _taken(column: pd.Series, positions: Positions, nothing: int = 0) -> npt.NDArray[np.int64]:
    """Return values at positions; ``nothing`` at -1."""
    values = column.to_numpy()
    taken: npt.NDArray[np.int64] = np.append(values, np.array([nothing], values.dtype))[positions]
    return taken


def _labels_of_either(old: pd.Series, new: pd.Series, left: Positions, right: Positions) -> pd.Categorical:
    names = old.cat.categories.union(new.cat.categories, sort=False)
    known = pd.Series(pd.Categorical([], categories=names))
    codes_old, codes_new = (common_codes(known, each)[1] for each in (old, new))
    codes = np.where(
        right >= 0, _taken(pd.Series(codes_new), right, -1), _taken(pd.Series(codes_old), left, -1)
    )
    return pd.Categorical.from_codes(codes, categories=names)


def _states(before: Plan, after: Plan, contact_ids: npt.NDArray[np.int64]) -> pd.Categorical:
    """Return the states of contacts; ``UNKNOWN_STATE`` of those that are valid in neither plan."""
    names = [str(name) for name in before.contacts["state"].cat.categories]
    codes = np.full(len(contact_ids), len(names))
    for plan in (before, after):
        position = SortedIds(plan.contacts["contact_id"].to_numpy()).positions(contact_ids)
        found = _taken(pd.Series(plan.contacts["state"].cat.codes), position, -1)
        codes = np.where(found >= 0, found, codes)
    return pd.Categorical.from_codes(codes, categories=pd.Index([*names, UNKNOWN_STATE], dtype="str"))


def _sortable(column: pd.Series) -> npt.NDArray[np.integer]:
    values = column.array
    return np.asarray(values.codes if isinstance(values, pd.Categorical) else values)


def _volume(before: Plan, after: Plan) -> pd.DataFrame:
    counts = {
        side: pd.Series(plan.counts.days.counts_by("day"), dtype="int64")
        for side, plan in (("before", before), ("after", after))
    }
    volume = pd.DataFrame(counts).fillna(0).sort_index()
    volume = volume.set_axis(volume.index + to_day(before.as_of)).rename_axis("day").reset_index()
    return VOLUME_BY_DAY.check(volume.astype("int32"))
