"""Each email of one contact: what becomes of it, which rule decided, when the contact may get it.

Also which of the sender's rows answer an occurrence (section 1, "handled").
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from email_scheduler.explain.deciding import counted_emails, deciding_rule, may_be_next, needs_everybody
from email_scheduler.explain.explanation import (
    NO_EMAIL,
    NOT_KEPT,
    PLANNED,
    SKIPPED,
    TAKEN,
    NextDate,
    Occurrence,
    Rule,
)
from email_scheduler.explain.facts import Candidate, Facts, Key
from email_scheduler.explain.stored_rows import PlanRow
from email_scheduler.planning import (
    OPEN_TARGET_STATUSES,
    Days,
    has_type,
    is_handled,
    to_day,
    tolerance_of_campaigns,
)
from email_scheduler.registry import (
    ADJUSTMENTS,
    BEFORE_GO_LIVE,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_PREFIX,
    FOLLOW_UPS_OFF,
    FOLLOWED_UP,
    HANDLED,
    NO_ROW,
    NOT_IN_PLAN,
    NOTHING_TO_FOLLOW_UP,
    ON_IDEAL_DATE,
    POST_WINDOW,
    PRE_SCHEDULED,
    SENT_STATUSES,
    SMOOTHED,
    Word,
    skip_meaning,
)

CHANGED: Final = (
    "What is in the database now leads to something else than this row: the contact, a campaign or the"
    " history has changed since the plan was made. The next plan decides about it."
)


@dataclass(frozen=True)
class Emails:
    """The emails of one valid contact.

    Attributes:
        facts: What the planner works out for the contact.
        contact_id: The contact.
        rows: The rows that the plan has for it.
    """

    facts: Facts
    contact_id: int
    rows: Sequence[PlanRow]

    @cached_property
    def position(self) -> int:
        """The contact's position among the valid ones."""
        return self.facts.position(self.contact_id)

    def occurrences(self) -> Iterator[Occurrence]:
        """Return all but follow-ups, in the order of series and campaigns, then what is left over."""
        intervals = self.facts.intervals(self.contact_id)
        rows = {_key(each): each for each in self.rows if each.row.initial_email_id is None}
        candidates = {each.key: each for each in self.facts.candidates(self.contact_id)}
        for key in (*candidates, *(key for key in intervals if key not in candidates)):
            yield self._occurrence(key, candidates.get(key), intervals.get(key, []), rows.pop(key, None))
        for row in rows.values():
            yield self.left_over(row)

    def left_over(self, plan_row: PlanRow) -> Occurrence:
        """Return a row for which there is nothing that is due any more."""
        row = plan_row.row
        found = self._of_row(plan_row, row.ideal_send_date, [], notes=(CHANGED,))
        is_follow_up = row.initial_email_id is not None
        return replace(found, is_window_bound=is_follow_up or self._binds(row.campaign_instance_id))

    def _occurrence(
        self,
        key: Key,
        candidate: Candidate | None,
        intervals: list[dict[str, Any]],
        plan_row: PlanRow | None,
    ) -> Occurrence:
        deadline = candidate.deadline if candidate else None
        ideal = candidate.ideal_send_date if candidate else None
        if intervals:
            deadline, ideal = intervals[0]["deadline"], intervals[0]["ideal_send_date"]
        if plan_row is not None:
            fitting = [each for each in intervals if _fits(plan_row, each)]
            is_known = plan_row.status is None or bool(fitting)
            result = self._of_row(
                plan_row, ideal, fitting or intervals[:1], notes=() if is_known else (CHANGED,)
            )
        else:
            result = self._without_row(key, candidate, is_due=bool(intervals))
        held_back = self.facts.held_back(self.contact_id, key[2]) if key[0] == POST_WINDOW else []
        return replace(
            result,
            deadline=deadline,
            ideal_send_date=result.ideal_send_date or ideal,
            is_window_bound=self._binds(key[1]),
            makes_up_for=tuple((each.email_type, each.event_date) for each in held_back),
        )

    def _of_row(
        self,
        plan_row: PlanRow,
        ideal: date | None,
        intervals: list[dict[str, Any]],
        notes: tuple[str, ...] = (),
    ) -> Occurrence:
        row = plan_row.row
        interval = intervals[0] if intervals else None
        outcome, reason, meaning = _told(plan_row)
        if plan_row.status is None:
            notes = (
                *notes,
                f"The row as it was then is not kept: {plan_row.changed_by} has changed it since.",
            )
        occurrence = Occurrence(
            email_type=row.email_type,
            campaign_instance_id=row.campaign_instance_id,
            campaign_name=self.campaign_name(row.campaign_instance_id),
            event_date=row.event_date,
            ideal_send_date=row.ideal_send_date or ideal,
            deadline=interval["deadline"] if interval else None,
            outcome=outcome,
            reason=reason,
            meaning=meaning.text,
            section=meaning.section,
            plan_row=plan_row,
            notes=notes,
        )
        if interval is not None and CHANGED not in notes:
            is_sure = len({(each["first_date"], each["last_date"]) for each in intervals}) == 1
            occurrence = replace(
                occurrence,
                base_dates=_base_dates(intervals),
                first_date=interval["first_date"] if is_sure else None,
                last_date=interval["last_date"] if is_sure else None,
            )
        if reason is None:
            return occurrence
        decided = replace(
            occurrence,
            rule=deciding_rule(self.facts, self.position, occurrence),
            counted=counted_emails(self.facts, self.contact_id, occurrence, self.rows),
        )
        if outcome != SKIPPED:
            return decided
        return replace(decided, next_date=self._next_date(decided, interval))

    def _next_date(self, occurrence: Occurrence, interval: dict[str, Any] | None) -> NextDate:
        return may_be_next(self.facts, self.contact_id, occurrence, interval, self.rows)

    def _without_row(self, key: Key, candidate: Candidate | None, *, is_due: bool) -> Occurrence:
        email_type, instance_id, event_date = key
        reason, answered_by = NOT_IN_PLAN, tuple[int, ...]()
        ideal = candidate.ideal_send_date if candidate else None
        go_live = self.facts.config.go_live_date
        if not is_due:
            answered_by = _answering_rows(self.facts, self.contact_id, key)
            is_earlier = go_live is not None and ideal is not None and ideal < go_live
            reason = HANDLED if answered_by else BEFORE_GO_LIVE if is_earlier else NOT_IN_PLAN
        meaning = NO_ROW[reason]
        return Occurrence(
            email_type=email_type,
            campaign_instance_id=instance_id or None,
            campaign_name=self.campaign_name(instance_id),
            event_date=event_date,
            ideal_send_date=ideal,
            deadline=None,
            outcome=TAKEN if reason == HANDLED else NO_EMAIL,
            reason=reason,
            meaning=meaning.text,
            section=meaning.section,
            answered_by=answered_by,
            rule=Rule("go_live_date", str(go_live)) if reason == BEFORE_GO_LIVE else None,
        )

    def _binds(self, instance_id: int | None) -> bool:
        """Tell whether exclusion windows can stop the emails of a campaign instance; None or 0: of none."""
        instance = self.facts.basis.instances.get(instance_id or 0)
        return instance is None or instance.respects_windows

    def campaign_name(self, instance_id: int | None) -> str | None:
        """Return what a campaign instance is called."""
        instance = self.facts.basis.instances.get(instance_id or 0)
        return instance.name if instance else None


def no_email(email_type: str, reason: str, rule: Rule | None = None) -> Occurrence:
    """Return what says why there is no email of a type at all."""
    meaning = NO_ROW[reason]
    return Occurrence(
        email_type=email_type,
        campaign_instance_id=None,
        campaign_name=None,
        event_date=None,
        ideal_send_date=None,
        deadline=None,
        outcome=NO_EMAIL,
        reason=reason,
        meaning=meaning.text,
        section=meaning.section,
        rule=rule,
    )


def _key(plan_row: PlanRow) -> tuple[str, int, date | None]:
    row = plan_row.row
    return row.email_type, row.campaign_instance_id or 0, row.event_date


def _told(plan_row: PlanRow) -> tuple[str, str | None, Word]:
    """Return outcome, reason and meaning of a row."""
    row = plan_row.row
    if plan_row.status is None:
        return NOT_KEPT, None, Word("", "There was a row for it.", 13)
    # another program may have written anything
    unknown = Word("", "Nobody has said what this means.", 13)
    if plan_row.status != PRE_SCHEDULED:
        try:
            return SKIPPED, row.skip_reason, skip_meaning(row.skip_reason or "")
        except KeyError:
            return SKIPPED, row.skip_reason, unknown
    outcome = PLANNED if plan_row.taken_as is None else TAKEN
    meaning = ADJUSTMENTS.get(row.adjustment, unknown) if row.adjustment else ON_IDEAL_DATE
    return outcome, row.adjustment, meaning


def _fits(plan_row: PlanRow, interval: dict[str, Any]) -> bool:
    """Tell whether a row is what the planner may make of an interval."""
    row = plan_row.row
    if row.ideal_send_date != interval["ideal_send_date"]:
        return False
    if plan_row.status == PRE_SCHEDULED:
        first, last, day = interval["first_date"], interval["last_date"], row.scheduled_send_date
        if interval["skip_reason"] is not None or day is None or not first <= day <= last:
            return False
        is_smoothed = row.adjustment == SMOOTHED
        return not is_smoothed or day == interval["base_date"]
    if interval["skip_reason"] is not None:
        return bool(interval["skip_reason"] == row.skip_reason)
    return needs_everybody(row.skip_reason or "")


def _base_dates(intervals: list[dict[str, Any]]) -> tuple[date, ...]:
    return tuple(dict.fromkeys(each["base_date"] for each in intervals if each["base_date"] is not None))


def _answering_rows(facts: Facts, contact_id: int, key: Key) -> tuple[int, ...]:
    """Return the ids of the sender's rows that answer an occurrence of a contact, ascending."""
    email_type, instance_id, event_date = key
    history = facts.basis.history
    own = history[(history["contact_id"] == contact_id).to_numpy()]
    is_asked = has_type(own, CAMPAIGN_PREFIX) if instance_id else own["email_type"] == email_type
    of_type = own[is_asked.to_numpy()]
    if of_type.empty:
        return ()
    occurrence = pd.DataFrame(
        {
            "contact_id": np.array([contact_id], np.int64),
            "email_type": pd.Categorical([email_type]),
            "campaign_instance_id": np.array([instance_id], np.int64),
            "event_date": np.array([to_day(event_date)], np.int32),
        }
    )
    tolerance = np.full(1, _tolerance(facts, contact_id, instance_id, event_date))
    dates = facts.config.aep_config.default_dates
    rows = (of_type.iloc[number : number + 1] for number in range(len(of_type)))
    answers = [int(row["id"].iloc[0]) for row in rows if is_handled(occurrence, row, dates, tolerance)[0]]
    return tuple(sorted(answers))


def _tolerance(facts: Facts, contact_id: int, instance_id: int, event_date: date) -> Days:
    own = [each for each in facts.targets(contact_id) if each["campaign_instance_id"] == instance_id]
    listed = [each for each in own if each["status"] in OPEN_TARGET_STATUSES]
    has_date = any(each["has_date"] and each["trigger"] == to_day(event_date) for each in listed)
    instance = facts.basis.instances.get(instance_id)
    return tolerance_of_campaigns(bool(listed), has_date, instance is not None and instance.is_yearly)


def follow_up_occurrences(emails: Emails) -> list[Occurrence]:
    """Return the follow-up of a contact, or why it gets none, and rows of follow-ups that are left over."""
    facts = emails.facts
    due = facts.follow_up(emails.contact_id)
    rows = [each for each in emails.rows if each.row.initial_email_id is not None]
    found = [_follow_up_of_row(emails, row, due) for row in rows]
    if due is not None and due["initial_email_id"] not in {each.row.initial_email_id for each in rows}:
        found.append(no_email(due["email_type"], NOT_IN_PLAN))
    elif not found:
        found.append(_no_follow_up(facts, emails.contact_id))
    return found


def _follow_up_of_row(emails: Emails, plan_row: PlanRow, due: dict[str, Any] | None) -> Occurrence:
    occurrence = emails.left_over(plan_row)
    if plan_row.status is not None and _is_as_due(plan_row, due):
        occurrence = replace(occurrence, notes=())
    next_date = occurrence.next_date
    if next_date is not None:
        lookback = emails.facts.config.timing_constants.followup_lookback_days
        next_date = NextDate(
            None,
            "It is looked at again every day, for as long as the email that it follows went out no more than"
            f" {lookback} days ago.",
        )
    return replace(occurrence, notes=(_decision(plan_row), *occurrence.notes), next_date=next_date)


def _decision(plan_row: PlanRow) -> str:
    """Return which email a follow-up follows, and what the contact did: its metadata in a sentence."""
    row = plan_row.row
    try:
        told = json.loads(row.metadata or "{}")
        did = [
            f"{name.replace('_', ' ')}: {'yes' if value else 'no'}"
            for name, value in told["behavior"].items()
        ]
        kind = told["initial_email_type"]
        return f"It follows the {kind} email, row {row.initial_email_id}; {', '.join(did)}."
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return f"It follows the email of row {row.initial_email_id}."


def _is_as_due(plan_row: PlanRow, due: dict[str, Any] | None) -> bool:
    row = plan_row.row
    return due is not None and (
        due["initial_email_id"] == row.initial_email_id
        and due["email_type"] == row.email_type
        and due["ideal_send_date"] == row.ideal_send_date
        and due["send_date"] == row.scheduled_send_date
        and due["skip_reason"] == (None if plan_row.status == PRE_SCHEDULED else row.skip_reason)
    )


def _no_follow_up(facts: Facts, contact_id: int) -> Occurrence:
    if not facts.config.features.enable_followups:
        rule = Rule("features.enable_followups", "false")
        return replace(no_email(FOLLOW_UP_PREFIX, FOLLOW_UPS_OFF), rule=rule)
    lookback = facts.config.timing_constants.followup_lookback_days
    since = facts.inputs.as_of - timedelta(days=lookback)
    own = facts.history(contact_id)
    made = [row["id"] for row in own if row["email_type"].startswith(FOLLOW_UP_PREFIX)]
    is_recent = any(
        row["status"] in SENT_STATUSES
        and row["send_date"] is not None
        and since <= row["send_date"] <= facts.inputs.as_of
        and not row["email_type"].startswith(FOLLOW_UP_PREFIX)
        for row in own
    )
    reason = FOLLOWED_UP if made and is_recent else NOTHING_TO_FOLLOW_UP
    rule = Rule("timing_constants.followup_lookback_days", str(lookback))
    return replace(
        no_email(FOLLOW_UP_PREFIX, reason),
        rule=rule,
        answered_by=tuple(made) if reason == FOLLOWED_UP else (),
    )
