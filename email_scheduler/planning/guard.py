"""What a plan loses against the last published one, and whether a person is to decide (section 17)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.categories import is_label, labels
from email_scheduler.planning.columns import Flags, SortedIds, is_among, to_day
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.matching import PlanDifference, Positions
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.rules.campaign_instances import read_instances, yearly_instances
from email_scheduler.planning.rules.history import is_answered, read_history
from email_scheduler.registry import INVALIDATING_ISSUES, PRE_SCHEDULED, SKIPPED

# The shares count only where at least as many contacts, or emails, are lost.
LEAST_LOST: Final = 20
_SHOWN_CAUSES: Final = 5
GONE: Final = "contacts that are gone"
NOT_VALID: Final = "contacts that are not valid"


@dataclass(frozen=True)
class Cause:
    """What a part of the loss has in common.

    Attributes:
        text: What that is.
        contacts: Contacts that it is about.
        emails: Of the emails that are lost, those that are lost so.
    """

    text: str
    contacts: int
    emails: int

    def __str__(self) -> str:
        return f"{self.text} ({self.contacts:,} contacts, {self.emails:,} emails)"


@dataclass(frozen=True)
class Loss:
    """What a plan loses against the last published one.

    Attributes:
        contacts_before, contacts_after: Valid contacts of the last published plan, and of this one.
        emails_before: Emails planned there for days after this plan's date, as far as they count.
        emails_lost: Those of them that leave the plan or become skipped.
        max_contact_loss_share, max_email_loss_share: As in the section ``guard`` of the configuration.
        causes: What the loss has in common, the most emails first; none where it is not too much.
    """

    contacts_before: int
    contacts_after: int
    emails_before: int
    emails_lost: int
    max_contact_loss_share: Decimal
    max_email_loss_share: Decimal
    causes: tuple[Cause, ...] = ()

    @property
    def contacts_lost(self) -> int:
        """By how much the number of valid contacts fell."""
        return max(self.contacts_before - self.contacts_after, 0)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why it is too much, a sentence with figures each; none where it is not."""
        return tuple(self._reasons())

    @property
    def is_too_much(self) -> bool:
        """Whether the plan waits for a person."""
        return bool(self.reasons)

    def _reasons(self) -> Iterator[str]:
        if self.contacts_before and not self.contacts_after:
            yield f"none of {self.contacts_before:,} valid contacts is left"
        elif _is_more(self.contacts_lost, self.contacts_before, self.max_contact_loss_share):
            share = _in_words(self.contacts_lost, self.contacts_before)
            limit = f"guard.max_contact_loss_share is {self.max_contact_loss_share}"
            yield f"{share} valid contacts are lost ({limit})"
        if _is_more(self.emails_lost, self.emails_before, self.max_email_loss_share):
            share = _in_words(self.emails_lost, self.emails_before)
            limit = f"guard.max_email_loss_share is {self.max_email_loss_share}"
            yield f"{share} planned emails leave the plan or are skipped ({limit})"

    def __str__(self) -> str:
        what = "; ".join(self.reasons)
        shown, others = self.causes[:_SHOWN_CAUSES], len(self.causes) - _SHOWN_CAUSES
        if not shown:
            return what
        more = f"; and {others} other causes" if others > 0 else ""
        return f"{what}. What is lost, the most first: {'; '.join(map(str, shown))}{more}"

    def document(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "contacts_before": self.contacts_before,
            "contacts_after": self.contacts_after,
            "emails_before": self.emails_before,
            "emails_lost": self.emails_lost,
            "reasons": list(self.reasons),
            "causes": [asdict(each) for each in self.causes],
        }


def _is_more(lost: int, before: int, share: Decimal) -> bool:
    return lost >= LEAST_LOST and lost > share * before


def _in_words(lost: int, before: int) -> str:
    return f"{lost:,} of {before:,} ({lost / before:.1%})"


def judge_loss(
    plan: Plan,
    inputs: PlanInputs,
    contacts_before: int | None,
    existing: pd.DataFrame,
    difference: PlanDifference,
    taken: pd.DataFrame,
    changes: pd.DataFrame,
    config: SchedulerConfig,
) -> Loss:
    """Return what a plan loses against the last published one (section 17).

    Emails that the sending system has taken or answered since do not count, nor do those of campaign
    instances that were changed since, or that end before the email would go out.

    Args:
        plan: The plan.
        inputs: What it was made from.
        contacts_before: Valid contacts of the last published plan; None: there is none, and nothing to lose.
        existing: ``EXISTING_ROWS``: the planned rows there, less those that the inputs know to be the
            sender's.
        difference: Of the plan and those rows.
        taken: ``HISTORY``: what the sending system took since the inputs were read.
        changes: ``CAMPAIGN_CHANGES``: those that no published plan has taken into account are pending.
        config: The organisation's configuration.
    """
    loss = Loss(
        contacts_before=contacts_before or 0,
        contacts_after=len(plan.contacts),
        emails_before=0,
        emails_lost=0,
        max_contact_loss_share=config.guard.max_contact_loss_share,
        max_email_loss_share=config.guard.max_email_loss_share,
    )
    if contacts_before is None:
        return loss
    counts = _may_be_lost(plan, inputs, existing, taken, changes)
    stays = np.zeros(len(existing), np.bool_)
    goes = is_label(plan.schedules["status"], [PRE_SCHEDULED])
    stays[difference.matches[goes & (difference.matches >= 0)]] = True
    lost, before = np.flatnonzero(counts & ~stays), int(np.count_nonzero(counts))
    loss = replace(loss, emails_before=before, emails_lost=len(lost))
    if not loss.is_too_much:
        return loss
    # an answered email is never planned again: not to count any can only make the loss smaller
    is_answered_since = _are_answered(existing.iloc[lost], inputs, taken, config)
    lost = lost[~is_answered_since]
    before -= int(np.count_nonzero(is_answered_since))
    loss = replace(loss, emails_before=before, emails_lost=len(lost))
    if not loss.is_too_much:
        return loss
    return replace(loss, causes=tuple(_causes(plan, inputs, existing, difference, lost)))


def _may_be_lost(
    plan: Plan, inputs: PlanInputs, existing: pd.DataFrame, taken: pd.DataFrame, changes: pd.DataFrame
) -> Flags:
    """Tell which rows there count: planned for later days, not taken, of no campaign that was changed."""
    send_dates = existing["scheduled_send_date"].to_numpy()
    counts: Flags = is_label(existing["status"], [PRE_SCHEDULED]) & (send_dates > to_day(plan.as_of))
    if len(taken):
        counts &= ~is_among(existing["id"].to_numpy(), np.sort(taken["id"].to_numpy()))
    instance_ids = existing["campaign_instance_id"].to_numpy()
    rows = np.flatnonzero(counts & (instance_ids != 0))
    if len(rows):
        instances = read_instances(inputs.campaign_types, inputs.campaign_instances)
        known = np.array(sorted(instances), np.int64)
        # what is not known any more has no end
        ends = np.array([*(instances[id_].end for id_ in known.tolist()), np.iinfo(np.int64).max])
        has_ended = ends[SortedIds(known).positions(instance_ids[rows])] < send_dates[rows]
        is_changed = is_among(instance_ids[rows], _changed_instances(inputs, changes))
        counts[rows[has_ended | is_changed]] = False
    return counts


def _changed_instances(inputs: PlanInputs, changes: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the ids of the campaign instances that were changed, themselves or their type, ascending."""
    pending = changes[changes["is_pending"]]
    ids = pending["campaign_instance_id"].to_numpy()
    types = pending.loc[ids == 0, "campaign_type"].astype("str")
    instances = inputs.campaign_instances
    of_types = instances.loc[instances["campaign_type"].astype("str").isin(types), "id"].to_numpy()
    return np.unique(np.concatenate([ids[ids != 0], of_types]))


def _are_answered(
    rows: pd.DataFrame, inputs: PlanInputs, taken: pd.DataFrame, config: SchedulerConfig
) -> Flags:
    """Tell which of some rows there the sending system has made needless."""
    targets, yearly = inputs.contact_campaigns, yearly_instances(inputs)
    answered = is_answered(rows, read_history(inputs.history), targets, yearly, config)
    return answered | is_answered(rows, taken, targets, yearly, config)


def _causes(
    plan: Plan, inputs: PlanInputs, existing: pd.DataFrame, difference: PlanDifference, lost: Positions
) -> list[Cause]:
    """Return what the emails that are lost, and contacts with rows that are not valid, have in common."""
    contact_ids = existing["contact_id"].to_numpy()
    is_lost = np.zeros(len(existing), np.bool_)
    is_lost[lost] = True
    rows = np.flatnonzero(is_lost | ~is_among(contact_ids, plan.contacts["contact_id"].to_numpy()))
    found = pd.DataFrame(
        {
            "cause": _cause_of_each(plan, inputs, existing, difference, rows),
            "contact_id": contact_ids[rows],
            "is_lost": is_lost[rows],
        }
    ).groupby("cause", sort=True)
    causes = [
        Cause(str(text), int(contacts), int(emails))
        for text, contacts, emails in zip(
            found.groups, found["contact_id"].nunique(), found["is_lost"].sum(), strict=True
        )
    ]
    return sorted(causes, key=lambda each: (-each.emails, -each.contacts, each.text))


def _cause_of_each(
    plan: Plan, inputs: PlanInputs, existing: pd.DataFrame, difference: PlanDifference, rows: Positions
) -> pd.Categorical:
    """Return for each of some rows there what became of it."""
    there = existing.iloc[rows]
    contact_ids, instance_ids = (there[name].to_numpy() for name in ("contact_id", "campaign_instance_id"))
    is_valid = is_among(contact_ids, plan.contacts["contact_id"].to_numpy())
    is_gone = ~is_among(contact_ids, np.sort(inputs.contacts["id"].to_numpy()))
    planned_at = np.full(len(existing), -1)
    has_row = np.flatnonzero(difference.matches >= 0)
    planned_at[difference.matches[has_row]] = has_row
    at = planned_at[rows]
    is_skipped = at >= 0
    is_skipped[is_skipped] = is_label(plan.schedules["status"].iloc[at[is_skipped]], [SKIPPED])
    is_campaign = instance_ids != 0

    texts: list[str] = [GONE]
    cause = np.zeros(len(rows), np.int64)

    def name(which: Flags, values: npt.NDArray[Any], words: str) -> None:
        distinct, number = np.unique(values, return_inverse=True)
        cause[which] = number + len(texts)
        texts.extend(words.format(value) for value in distinct.tolist())

    rest = is_valid & ~is_skipped
    name(~is_valid & ~is_gone, _issues_of(plan, contact_ids[~is_valid & ~is_gone]), f"{NOT_VALID}: {{}}")
    reasons = plan.schedules["skip_reason"].iloc[at[is_valid & is_skipped]]
    name(is_valid & is_skipped, reasons.astype("str").to_numpy(), "emails that are skipped: {}")
    name(
        rest & is_campaign,
        instance_ids[rest & is_campaign],
        "emails of campaign instance {}, which has none for them any more",
    )
    types = there["email_type"][rest & ~is_campaign].astype("str").to_numpy()
    name(rest & ~is_campaign, types, "emails of the type {} that are not planned any more")
    return labels(cause, texts).remove_unused_categories()


def _issues_of(plan: Plan, contact_ids: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return what makes each of some contacts invalid."""
    issues = plan.issues[is_label(plan.issues["issue"], INVALIDATING_ISSUES)].drop_duplicates("contact_id")
    by_contact = issues.set_index("contact_id")["issue"].astype("str")
    found: npt.NDArray[Any] = by_contact.reindex(contact_ids).fillna("unknown").to_numpy()
    return found
