"""What the planner works out for some contacts alone: the same functions as for a whole organisation.

Smoothing and balancing need everybody and are not here: what they decided is in the published rows.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning import (
    ALLOWED,
    FIRST_DAY,
    LAST_DAY,
    NO_DATE,
    SEARCH_DAYS,
    AnniversaryEmails,
    ListedTargets,
    Members,
    PlanInputs,
    YearlySeries,
    anniversary_occurrences,
    anniversary_series,
    assign_intervals,
    audience_members,
    campaign_occurrences,
    from_day,
    plan_campaigns,
    plan_follow_ups,
    planned_instances,
    planning_basis,
    trigger_days,
    validate_contacts,
)
from email_scheduler.registry import EFFECTIVE_DATE

Key = tuple[str, int, date]
_DATES: Final = (
    "event_date",
    "ideal_send_date",
    "deadline",
    "base_date",
    "first_date",
    "last_date",
    "send_date",
)


@dataclass(frozen=True)
class Candidate:
    """An occurrence that would be due if nothing had been sent, and nothing were before ``go_live_date``.

    Attributes:
        series: The position of its series (section 6); -1 of campaign emails.
    """

    email_type: str
    campaign_instance_id: int
    event_date: date
    ideal_send_date: date
    deadline: date
    series: int = -1

    @property
    def key(self) -> Key:
        """What identifies it among those of its contact."""
        return self.email_type, self.campaign_instance_id, self.event_date


class Facts:
    """All of it for the contacts of some inputs.

    Attributes:
        inputs: Their rows of the organisation's tables, and those of contacts with the same address.
        config: The configuration.
        contacts: ``CONTACTS``: the valid ones.
        issues: ``CONTACT_ISSUES``.
        basis: What planning looks at.
    """

    def __init__(self, inputs: PlanInputs, config: SchedulerConfig) -> None:
        """Plan for these contacts as far as that needs nobody else.

        Raises:
            InputDataError: A campaign cannot be read.
        """
        self.inputs, self.config = inputs, config
        self.contacts, contact_issues = validate_contacts(inputs, config)
        self.basis = planning_basis(inputs, self.contacts, config)
        campaigns, target_issues = plan_campaigns(self.basis, inputs)
        follow_ups, answer_issues = plan_follow_ups(self.basis, inputs.clicks, inputs.answers)
        self.issues = pd.concat([contact_issues, target_issues, answer_issues], ignore_index=True)
        self._campaigns = by_contact(campaigns)
        self._follow_ups = by_contact(follow_ups)

    def position(self, contact_id: int) -> int:
        """Return the position of a contact among the valid ones, -1 if it is not valid."""
        return int(self.basis.positions(np.array([contact_id], np.int64))[0])

    def intervals(self, contact_id: int) -> dict[Key, list[dict[str, Any]]]:
        """Return the occurrences that are due to a contact as ``SCHEDULES`` has them, by key.

        Of an effective-date email there are two that may differ: without smoothing, and with it.
        """
        found: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for frame in (self._unsmoothed, self._smoothed, self._campaigns):
            for row in frame.get(contact_id, ()):
                found[row["email_type"], row["campaign_instance_id"], row["event_date"]].append(row)
        return found

    def targets(self, contact_id: int) -> list[dict[str, Any]]:
        """Return the rows of ``CONTACT_CAMPAIGNS_TABLE`` of a contact.

        With ``trigger``, the day number that counts for each, and whether its own ``is_unreadable``.
        """
        return self._targets.get(contact_id, [])

    def behaviour(self, contact_id: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of ``CLICKS_TABLE`` and of ``ANSWERS_TABLE`` of a contact."""
        return self._clicks.get(contact_id, []), self._answers.get(contact_id, [])

    def follow_up(self, contact_id: int) -> dict[str, Any] | None:
        """Return the follow-up that is due to a contact, as ``FOLLOW_UPS`` has it."""
        return next(iter(self._follow_ups.get(contact_id, ())), None)

    def candidates(self, contact_id: int) -> list[Candidate]:
        """Return what would be due to a contact if nothing had been sent: of each series, then campaigns."""
        return [*self._anniversaries.get(contact_id, ()), *self._campaign_candidates.get(contact_id, ())]

    def held_back(self, contact_id: int, event_date: date) -> list[Candidate]:
        """Return the occurrences that a post-window email with this event date makes up for (section 7)."""
        return self._held_back.get((contact_id, event_date), [])

    def stored(self, contact_id: int) -> dict[str, Any]:
        """Return the row of ``CONTACTS_TABLE`` of a contact."""
        return self._stored[contact_id]

    def issues_of(self, contact_id: int) -> set[str]:
        """Return the issues of a contact."""
        return {row["issue"] for row in self._issues.get(contact_id, ())}

    def history(self, contact_id: int) -> list[dict[str, Any]]:
        """Return the rows of ``HISTORY`` of a contact."""
        return self._history.get(contact_id, [])

    @cached_property
    def _stored(self) -> dict[int, dict[str, Any]]:
        by_id = by_contact(self.inputs.contacts.rename(columns={"id": "contact_id"}), dates=())
        return {contact_id: row for contact_id, (row, *_) in by_id.items()}

    @cached_property
    def _targets(self) -> dict[int, list[dict[str, Any]]]:
        table = self.inputs.contact_campaigns
        trigger, has_date, is_unreadable = trigger_days(table, self.basis.instances)
        known = table.assign(trigger=trigger, has_date=has_date, is_unreadable=is_unreadable)
        return by_contact(known, dates=())

    @cached_property
    def _clicks(self) -> dict[int, list[dict[str, Any]]]:
        return by_contact(self.inputs.clicks)

    @cached_property
    def _answers(self) -> dict[int, list[dict[str, Any]]]:
        return by_contact(self.inputs.answers)

    @cached_property
    def _issues(self) -> dict[int, list[dict[str, Any]]]:
        return by_contact(self.issues)

    @cached_property
    def _history(self) -> dict[int, list[dict[str, Any]]]:
        history = self.basis.history
        # other programs' rows may name no type
        return by_contact(history.assign(email_type=history["email_type"].astype("object").fillna("")))

    @cached_property
    def planned(self) -> list[int]:
        """The campaign instances whose emails are planned."""
        return [each.id for each in planned_instances(self.basis.instances, self.basis.today, self.config)]

    @cached_property
    def members(self) -> dict[int, Members]:
        """Who matches the audiences of planned instances."""
        return audience_members(self.basis, self.inputs, [self.basis.instances[id_] for id_ in self.planned])

    @cached_property
    def series(self) -> list[YearlySeries]:
        """The series of the contacts (section 6)."""
        return anniversary_series(self.basis)

    @cached_property
    def _due(self) -> pd.DataFrame:
        return anniversary_occurrences(self.basis)

    @cached_property
    def _unsmoothed(self) -> dict[int, list[dict[str, Any]]]:
        return by_contact(assign_intervals(self.basis, self._due, np.empty(0, np.int32)))

    @cached_property
    def _smoothed(self) -> dict[int, list[dict[str, Any]]]:
        if not self.config.features.enable_load_balancing:
            return {}
        is_smoothed = (self._due["email_type"] == EFFECTIVE_DATE).to_numpy()
        due = self._due[is_smoothed].reset_index(drop=True)
        crowded = np.unique(due["ideal_send_date"].to_numpy()).astype(np.int32)
        return by_contact(assign_intervals(self.basis, due, crowded))

    @cached_property
    def _anniversaries(self) -> dict[int, list[Candidate]]:
        found: dict[int, list[Candidate]] = defaultdict(list)
        for number, series in enumerate(self.series):
            for contact_id, candidate in self._each(series.current, number):
                found[contact_id].append(candidate)
        return found

    @cached_property
    def _campaign_candidates(self) -> dict[int, list[Candidate]]:
        quiet = replace(
            self.basis,
            history=self.basis.history.iloc[:0],
            config=self.config.model_copy(update={"go_live_date": None}),
        )
        listed = ListedTargets.read(self.inputs.contact_campaigns, quiet)
        due, _ = campaign_occurrences(quiet, listed, self.members)
        return {
            contact_id: [
                Candidate(
                    row["email_type"],
                    row["campaign_instance_id"],
                    row["event_date"],
                    row["ideal_send_date"],
                    row["deadline"],
                )
                for row in rows
            ]
            for contact_id, rows in by_contact(due).items()
        }

    @cached_property
    def _held_back(self) -> dict[tuple[int, date], list[Candidate]]:
        found: dict[tuple[int, date], list[Candidate]] = defaultdict(list)
        windows = self.basis.windows
        for number, series in enumerate(self.series):
            for emails in (series.previous, series.current):
                is_open = self.basis.is_live(emails.ideal) & ~self.basis.senders.answer(
                    emails.email_type, emails.rows, emails.event
                )
                held = emails.where(is_open & (windows.reasons(emails.rows, emails.ideal) != ALLOWED))
                last = held.ideal + np.int32(SEARCH_DAYS)
                allowed = windows.first_allowed(held.rows, held.ideal + np.int32(1), last)
                for (contact_id, candidate), day, end in zip(
                    self._each(held, number), allowed.tolist(), last.tolist(), strict=True
                ):
                    if day <= end:
                        found[contact_id, as_date(day - 1)].append(candidate)
        return found

    def _each(self, emails: AnniversaryEmails, series: int) -> Iterator[tuple[int, Candidate]]:
        ids: npt.NDArray[np.int64] = self.contacts["contact_id"].to_numpy()[emails.rows]
        days = (emails.event.tolist(), emails.ideal.tolist(), emails.deadline.tolist())
        for contact_id, event, ideal, deadline in zip(ids.tolist(), *days, strict=True):
            dates = as_date(event), as_date(ideal), as_date(deadline)
            yield contact_id, Candidate(emails.email_type, 0, *dates, series=series)


def as_date(day: int) -> date:
    """Return the date of a day number, the first or last of the calendar for days beyond it."""
    return from_day(min(max(day, FIRST_DAY), LAST_DAY))


def by_contact(frame: pd.DataFrame, dates: Collection[str] = _DATES) -> dict[int, list[dict[str, Any]]]:
    """Return the rows of a frame by contact: days as dates, what is missing as None."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    columns = {str(name): _plain(frame[name], is_date=name in dates) for name in frame.columns}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        found[row["contact_id"]].append(row)
    return found


def _plain(column: pd.Series, *, is_date: bool) -> list[Any]:
    if is_date:
        return [None if day == NO_DATE else as_date(day) for day in column.tolist()]
    if isinstance(column.dtype, np.dtype):
        return column.tolist()
    return [None if pd.isna(value) else str(value) for value in column.astype("object")]
