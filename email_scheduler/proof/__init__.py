"""The proof of a plan: whether it keeps the planning rules, by arithmetic of its own.

Nothing here is shared with the planner: what both read wrongly in the same way would be proved right. The
configuration and the frames are all that they have in common.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.columns.parts import chunks, side_by_side
from email_scheduler.planning.frames import CONTACTS, EMAIL_SCHEDULES, PlanInputs
from email_scheduler.proof.anniversary_emails import (
    check_anniversary_emails,
    check_post_window_emails,
    read_anniversary_series,
)
from email_scheduler.proof.arithmetic import FOLLOW_UP, FOREIGN, ContactPositions, number_of
from email_scheduler.proof.campaign_emails import Audiences, Targets, check_campaigns, read_targets
from email_scheduler.proof.campaign_instances_and_variants import (
    CampaignInstances,
    Split,
    check_variants,
    read_campaign_instances,
    read_splits,
)
from email_scheduler.proof.exclusion_windows import ReasonCodes, Windows, check_windows
from email_scheduler.proof.follow_up_emails import check_follow_ups
from email_scheduler.proof.history_border import history_border
from email_scheduler.proof.planned_and_sent import (
    PlanRows,
    SenderRows,
    check_addresses,
    check_duplicates,
    read_plan_rows,
    read_sender_rows,
)
from email_scheduler.proof.send_dates import (
    CampaignDays,
    Frequency,
    SkipReasons,
    check_daily_volume,
    check_dates,
)
from email_scheduler.proof.violations import RULES, Violations

__all__ = ["RULES", "Proved", "find_violations", "history_border"]


@dataclass(frozen=True)
class Proved:
    """That ``find_violations`` has found nothing in these frames, which nobody changes from then on.

    Attributes:
        inputs: What the plan was made from.
        contacts: The valid contacts.
        schedules: The plan.
        config: The organisation's configuration.
    """

    inputs: PlanInputs
    contacts: pd.DataFrame
    schedules: pd.DataFrame
    config: SchedulerConfig

    def covers(
        self, inputs: PlanInputs, contacts: pd.DataFrame, schedules: pd.DataFrame, config: SchedulerConfig
    ) -> bool:
        """Tell whether these are the frames that were proved: the same ones in memory, not equal ones."""
        is_same = self.contacts is contacts and self.schedules is schedules and self.config == config
        return is_same and all(
            ours is theirs if isinstance(ours, pd.DataFrame) else ours == theirs
            for ours, theirs in zip(vars(self.inputs).values(), vars(inputs).values(), strict=True)
        )


def find_violations(
    inputs: PlanInputs, contacts: pd.DataFrame, schedules: pd.DataFrame, config: SchedulerConfig
) -> pd.DataFrame:
    """Return what in a plan breaks the planning rules; nothing in a plan that may be published.

    Args:
        inputs: What the plan was made from.
        contacts: The valid contacts (``CONTACTS``).
        schedules: The plan (``EMAIL_SCHEDULES``), in any order.
        config: The organisation's configuration.

    Returns:
        ``VIOLATIONS``: one row for each row of the plan and rule of ``RULES`` that it breaks, for each
        occurrence that the plan does not account for, and for each day that is over its limit; in the order
        of ``RULES``, then by contact.

    Raises:
        InputDataError: ``contacts`` or ``schedules`` do not keep the contract of their frame.
    """
    CONTACTS.check(contacts)
    EMAIL_SCHEDULES.check(schedules)
    as_of = number_of(inputs.as_of)
    positions = ContactPositions(contacts)
    schedules = _by_contact(schedules, positions)
    violations = Violations(schedules)
    senders = read_sender_rows(inputs.history, positions)
    rows = read_plan_rows(schedules, positions)
    campaigns = read_campaign_instances(as_of, inputs, config)
    audiences = Audiences(as_of, campaigns, inputs, contacts)
    targets = read_targets(campaigns, audiences, inputs.contact_campaigns, positions)
    splits = read_splits(inputs, config)

    _check_words(rows, violations)
    check_duplicates(rows, schedules["contact_id"].to_numpy(), violations)
    check_addresses(as_of, inputs, positions, rows, config.contacts.max_per_address, violations)
    check_follow_ups(as_of, campaigns, senders, rows, positions.ids, config, violations)
    check_daily_volume(len(contacts), senders, rows, config, violations)

    parts = chunks(len(contacts))
    senders_by_part = senders.by_part(parts)

    def check_part(part: slice, its_senders: SenderRows) -> Violations:
        rows_of_part = rows.of_contacts(part)
        found = Violations(schedules.iloc[rows_of_part])
        _check_contacts(
            as_of,
            campaigns,
            contacts.iloc[part],
            its_senders,
            targets.of_contacts(part),
            rows.part(rows_of_part, part.start),
            schedules.iloc[rows_of_part],
            splits,
            config,
            found,
        )
        return found

    for found in side_by_side(
        lambda number: check_part(parts[number], senders_by_part[number]()), range(len(parts))
    ):
        violations.add(found)
    return violations.frame()


def _by_contact(schedules: pd.DataFrame, positions: ContactPositions) -> pd.DataFrame:
    """Return the rows in the order of their contacts, those of one contact in the order that they are in."""
    who = positions.of(schedules["contact_id"].to_numpy())
    if (who[1:] >= who[:-1]).all():
        return schedules
    return schedules.take(np.argsort(who, kind="stable"))


def _check_contacts(
    as_of: int,
    campaigns: CampaignInstances,
    contacts: pd.DataFrame,
    senders: SenderRows,
    targets: Targets,
    rows: PlanRows,
    schedules: pd.DataFrame,
    splits: dict[int, Split],
    config: SchedulerConfig,
    violations: Violations,
) -> None:
    """Check the rules that look at one contact at a time, for some contacts."""
    contact_ids = contacts["contact_id"].to_numpy()
    windows = Windows(contacts, config)
    series = read_anniversary_series(as_of, windows, senders, config)
    check_anniversary_emails(series, rows, contact_ids, config, violations)
    check_post_window_emails(as_of, series, windows, senders, rows, contact_ids, config, violations)
    check_campaigns(as_of, campaigns, targets, senders, rows, contact_ids, config, violations)
    check_variants(splits, rows, schedules, contacts, violations)

    ideal_reasons = _ideal_reasons(windows, rows)
    check_dates(as_of, rows, schedules["adjustment"], config, violations)
    check_windows(as_of, windows, rows, ideal_reasons, violations)
    frequency = Frequency(as_of, senders, rows, config)
    campaign_days = CampaignDays(senders, rows)
    reasons = SkipReasons(as_of, windows, rows, ideal_reasons, schedules["skip_reason"], config)
    reasons.check(frequency, campaign_days, violations)
    frequency.check(violations)
    campaign_days.check(violations)


def _check_words(rows: PlanRows, violations: Violations) -> None:
    """Report rows of unknown contacts, statuses and types."""
    violations.rows("unknown_contact", np.flatnonzero(rows.who < 0))
    violations.rows("unknown_status", np.flatnonzero(~rows.is_planned & ~rows.is_skipped))
    violations.rows("unknown_occurrence", rows.of_kind(FOREIGN), "no type of the planning rules")


def _ideal_reasons(windows: Windows, rows: PlanRows) -> ReasonCodes:
    """Return why the ideal date of each row is excluded; ALLOWED for rows that this does not matter for.

    What windows do not bind, and follow-ups, are not skipped because of their ideal date.
    """
    reasons = np.zeros(len(rows.who), dtype=np.int8)
    known = np.flatnonzero(rows.is_known & rows.is_bound & (rows.kind != FOLLOW_UP))
    known = known[windows.bind(rows.who[known])]
    reasons[known] = windows.reasons(rows.who[known], rows.ideal[known])
    return reasons
