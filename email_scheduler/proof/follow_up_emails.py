"""The emails that are to be followed up, and the follow-up rows (section 10)."""

import numpy as np

from email_scheduler.config import SchedulerConfig
from email_scheduler.proof.arithmetic import (
    CAMPAIGN,
    FOLLOW_UP,
    FOREIGN,
    LONG_AGO,
    ClosedDays,
    Flags,
    Ids,
    number_of,
)
from email_scheduler.proof.campaign_instances_and_variants import CampaignInstances
from email_scheduler.proof.planned_and_sent import PlanRows, SenderRows
from email_scheduler.proof.violations import Violations


def check_follow_ups(
    as_of: int,
    campaigns: CampaignInstances,
    senders: SenderRows,
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    violations: Violations,
) -> None:
    """Settle the follow-up rows; report those without an initial email that is due one, and those that lack.

    A follow-up has one day only: its ideal date or the plan's day, whichever is later, or the next open day.
    """
    emails = _initial_emails(as_of, campaigns, senders, config)
    is_passed = _are_passed_over(emails, senders, len(contact_ids), config)
    latest = np.full(len(contact_ids), LONG_AGO, dtype=np.int32)
    np.maximum.at(latest, emails.who[~is_passed], emails.send[~is_passed])

    of_kind = rows.of_kind(FOLLOW_UP)
    at = np.searchsorted(emails.ids, rows.initial[of_kind])
    at[at == len(emails.ids)] = 0
    if len(emails.ids):
        found = (emails.ids[at] == rows.initial[of_kind]) & (emails.who[at] == rows.who[of_kind])
        found &= (emails.event[at] == rows.event[of_kind]) & (emails.instance[at] == rows.instance[of_kind])
    else:
        found = np.zeros(len(of_kind), dtype=bool)
    violations.rows("unknown_occurrence", of_kind[~found])
    of_kind, at = of_kind[found], at[found]
    violations.rows("already_handled", of_kind[is_passed[at]])
    is_older = ~is_passed[at] & (emails.send[at] < latest[emails.who[at]])
    violations.rows(
        "unknown_occurrence", of_kind[is_older], "a later email of the contact is the one to follow up"
    )
    ideal = emails.send[at] + config.timing_constants.followup_days_after
    rows.settle(of_kind, ideal, ClosedDays(config).next_open(np.maximum(ideal, as_of)))

    has_row = np.zeros(len(contact_ids), dtype=bool)
    has_row[rows.who[of_kind]] = True
    lacking = np.flatnonzero(~is_passed & (emails.send == latest[emails.who]) & ~has_row[emails.who])
    of_contact = np.unique(emails.who[lacking], return_index=True)[1]
    lacking = lacking[of_contact]
    violations.missing(
        contact_ids[emails.who[lacking]],
        "followup",
        emails.event[lacking],
        emails.instance[lacking],
        initials=emails.ids[lacking],
    )


def _initial_emails(
    as_of: int, campaigns: CampaignInstances, senders: SenderRows, config: SchedulerConfig
) -> SenderRows:
    """Return the emails that may be followed up, ascending by id."""
    if not config.features.enable_followups:
        return senders.where(np.zeros(len(senders.ids), dtype=bool))
    first_day = as_of - config.timing_constants.followup_lookback_days
    if config.go_live_date:
        first_day = max(first_day, number_of(config.go_live_date))
    chosen = senders.is_sent & (senders.who >= 0) & (senders.send >= first_day) & (senders.send <= as_of)
    emails = senders.where(chosen & (senders.kind != FOLLOW_UP) & (senders.kind != FOREIGN))
    has_follow_ups = np.append(campaigns.is_active & campaigns.has_follow_ups, False)
    emails = emails.where((emails.kind != CAMPAIGN) | has_follow_ups[campaigns.find(emails.instance)])
    return emails.ordered()


def _are_passed_over(
    emails: SenderRows, senders: SenderRows, contact_count: int, config: SchedulerConfig
) -> Flags:
    """Return which emails have been followed up, or belong to a contact that was not long before."""
    lookback_days = config.timing_constants.followup_lookback_days
    follow_ups = senders.where(senders.is_senders & (senders.kind == FOLLOW_UP))
    latest = np.full(contact_count, LONG_AGO, dtype=np.int32)
    of_valid = follow_ups.who >= 0
    np.maximum.at(latest, follow_ups.who[of_valid], follow_ups.send[of_valid])
    passed: Flags = np.isin(emails.ids, follow_ups.initial)
    return passed | (latest[emails.who] >= emails.send - lookback_days)
