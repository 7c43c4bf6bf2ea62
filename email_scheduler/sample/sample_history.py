"""What a sample organisation has done so far: campaigns, emails, follow-ups, clicks and answers."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning import (
    ALLOWED,
    HISTORY,
    NO_DATE,
    OCCURRENCES,
    SKIP_REASON_DTYPE,
    Days,
    Flags,
    PlanningBasis,
    anniversary_occurrences,
    email_type_dtype,
    to_day,
)
from email_scheduler.registry import AEP, CAMPAIGN_PREFIX, FOLLOW_UP_TYPES

Ids = npt.NDArray[np.int64]
EXPLICIT_TYPE: Final = "rate_increase"
IMPLICIT_TYPE: Final = "initial_blast"
_TARGET_SHARE: Final = 0.12
_UNDATED_SHARE: Final = 0.05
_DISMISSED_SHARE: Final = 0.02
_BEGUN_DAYS_AGO: Final = 45
_LASTS_DAYS: Final = 90
_EARLIEST_TRIGGER: Final = -20
_LATEST_TRIGGER: Final = 110
_DEFAULT_TRIGGER: Final = 40
_BLAST_BEGINS_IN_DAYS: Final = 10
HISTORY_DAYS: Final = 120
_LONGEST_DELAY_DAYS: Final = 4
_AEP_SEND_DAYS: Final = 26
_DELAYED_SHARE: Final = 0.25
# The sending system was down, or the email was lost in some other way: the plan catches up with it.
_LOST_SHARE: Final = 0.02
_LOST_FOLLOW_UP_SHARE: Final = 0.03
_STATUSES: Final = ("delivered", "sent", "failed")
_STATUS_SHARES: Final = (0.80, 0.185, 0.015)
_CLICKED_SHARE: Final = 0.22
_ANSWERED_SHARE: Final = 0.35
_CONDITIONS_SHARE: Final = 0.4
_UNNAMED_CLICK_SHARE: Final = 0.1
_EMAIL_COLUMNS: Final = [
    "contact_id",
    "email_type",
    "campaign_instance_id",
    "event_date",
    "ideal_send_date",
    "send_date",
    "priority",
    "initial_email_id",
    "expects_follow_up",
]
_STATUS_DTYPE: Final = pd.CategoricalDtype(pd.Index(_STATUSES, dtype="str"))


@dataclass(frozen=True)
class Instance:
    """One row of ``campaign_instances``; all are active."""

    id: int
    campaign_type: str
    instance_name: str
    email_template: str
    sms_template: str | None
    active_start_date: date
    active_end_date: date | None
    metadata: dict[str, str] | None


def make_instances(config: SchedulerConfig, as_of: date) -> tuple[Instance, ...]:
    """Return two campaigns, of types that the configuration has; fewer where it has not got them."""
    instances = (
        Instance(
            id=1,
            campaign_type=EXPLICIT_TYPE,
            instance_name=f"rate_increase_{as_of.year}",
            email_template="rate_increase_v2",
            sms_template="rate_increase_sms_v1",
            active_start_date=as_of - timedelta(days=_BEGUN_DAYS_AGO),
            active_end_date=as_of + timedelta(days=_LASTS_DAYS),
            metadata={"trigger_date": (as_of + timedelta(days=_DEFAULT_TRIGGER)).isoformat()},
        ),
        Instance(
            id=2,
            campaign_type=IMPLICIT_TYPE,
            instance_name="new_website",
            email_template="initial_blast_v1",
            sms_template=None,
            active_start_date=as_of + timedelta(days=_BLAST_BEGINS_IN_DAYS),
            active_end_date=None,
            metadata=None,
        ),
    )
    return tuple(instance for instance in instances if instance.campaign_type in config.campaign_types)


def make_targets(
    contact_ids: Ids,
    instances: tuple[Instance, ...],
    as_of: date,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Choose some contacts for the campaign with explicit targets.

    Returns:
        ``contact_id``, ``campaign_instance_id``, ``trigger_date`` (``NO_DATE`` where the campaign's own
        counts), ``is_dismissed``: somebody has decided against this one.
    """
    instance = next((each for each in instances if each.campaign_type == EXPLICIT_TYPE), None)
    chosen = contact_ids[rng.random(len(contact_ids)) < _TARGET_SHARE] if instance else contact_ids[:0]
    triggers = to_day(as_of) + rng.integers(_EARLIEST_TRIGGER, _LATEST_TRIGGER, size=len(chosen))
    is_undated = rng.random(len(chosen)) < _UNDATED_SHARE
    return pd.DataFrame(
        {
            "contact_id": chosen,
            "campaign_instance_id": np.full(len(chosen), instance.id if instance else 0, np.int64),
            "trigger_date": np.where(is_undated, NO_DATE, triggers).astype(np.int32),
            "is_dismissed": rng.random(len(chosen)) < _DISMISSED_SHARE,
        }
    )


def past_campaign_emails(
    targets: pd.DataFrame,
    valid_contact_ids: Ids,
    instances: tuple[Instance, ...],
    config: SchedulerConfig,
) -> pd.DataFrame:
    """Return ``OCCURRENCES`` of the dated targets that nobody has dismissed, whenever they are due."""
    types = email_type_dtype(config.campaign_types)
    instance = next((each for each in instances if each.campaign_type == EXPLICIT_TYPE), None)
    if instance is None:
        return OCCURRENCES.empty().astype({"email_type": types})
    campaign_type = config.campaign_types[EXPLICIT_TYPE]
    is_due = targets["contact_id"].isin(valid_contact_ids) & ~targets["is_dismissed"]
    due = targets[is_due & (targets["trigger_date"] != NO_DATE)]
    trigger: Days = due["trigger_date"].to_numpy()
    ideal = np.maximum(trigger - campaign_type.days_before_event, to_day(instance.active_start_date))
    is_before_trigger = campaign_type.days_before_event > 0
    catch_up_days = config.timing_constants.campaign_catch_up_days
    code = types.categories.get_loc(CAMPAIGN_PREFIX + EXPLICIT_TYPE)
    count = len(due)
    expects_follow_up = campaign_type.enable_followups and config.features.enable_followups
    return OCCURRENCES.build(
        {
            "contact_id": due["contact_id"].to_numpy(),
            "email_type": pd.Categorical.from_codes(np.full(count, code, np.int64), dtype=types),
            "campaign_instance_id": due["campaign_instance_id"].to_numpy(),
            "event_date": trigger,
            "ideal_send_date": ideal.astype(np.int32),
            "deadline": np.where(is_before_trigger, trigger - 1, ideal + catch_up_days).astype(np.int32),
            "priority": np.full(count, campaign_type.priority, np.int32),
            "is_window_bound": np.full(count, campaign_type.respect_exclusion_windows),
            "expects_follow_up": np.full(count, expects_follow_up),
            "skip_reason": pd.Categorical.from_codes(np.full(count, -1, np.int64), dtype=SKIP_REASON_DTYPE),
        }
    )


@dataclass(frozen=True)
class SampleHistory:
    """What happened before the as-of date.

    Attributes:
        emails: ``id``, ``contact_id``, ``email_type``, ``campaign_instance_id`` (0: none), ``event_date``,
            ``ideal_send_date``, ``send_date``, ``status``, ``priority``, ``initial_email_id`` (0: none),
            ``expects_follow_up``; dates are day numbers.
        clicks: ``contact_id``, ``email_schedule_id`` (0: it names none), ``day``.
        answers: ``contact_id``, ``day``, ``has_conditions``.
    """

    emails: pd.DataFrame
    clicks: pd.DataFrame
    answers: pd.DataFrame


def make_history(
    contacts: pd.DataFrame,
    campaign_emails: pd.DataFrame,
    config: SchedulerConfig,
    as_of: date,
    *,
    first_email_id: int,
    rng: np.random.Generator,
) -> SampleHistory:
    """Make up the history of the last ``HISTORY_DAYS`` days, which ends the day before ``as_of``.

    Args:
        contacts: ``CONTACTS``.
        campaign_emails: ``OCCURRENCES`` of campaigns, whenever they are due.
        config: The organisation's configuration.
        as_of: The date that the sample is made for.
        first_email_id: The emails get ids from this one on.
        rng: Where the accidents come from.
    """
    begin = as_of - timedelta(days=HISTORY_DAYS)
    types = email_type_dtype(config.campaign_types)
    basis = PlanningBasis(begin, config, contacts, HISTORY.empty(), {}, types)
    emails = _initial_emails(basis, campaign_emails, to_day(as_of), rng)
    emails.insert(0, "id", np.arange(first_email_id, first_email_id + len(emails), dtype=np.int64))
    emails["status"] = _statuses(len(emails), rng)
    clicks, answers, behaviour = _engagement(emails, to_day(as_of), rng)
    follow_ups = _follow_ups(basis, emails, behaviour, to_day(as_of), rng)
    return SampleHistory(pd.concat([emails, follow_ups], ignore_index=True), clicks, answers)


def _initial_emails(
    basis: PlanningBasis, campaign_emails: pd.DataFrame, as_of: int, rng: np.random.Generator
) -> pd.DataFrame:
    config = basis.config
    due = anniversary_occurrences(basis)
    due = pd.concat([due[due["skip_reason"].isna()], campaign_emails], ignore_index=True)
    delay = np.where(
        (due["email_type"] == AEP).to_numpy(),
        rng.integers(0, min(_AEP_SEND_DAYS, config.aep_config.send_period_days), size=len(due)),
        rng.integers(0, _LONGEST_DELAY_DAYS + 1, size=len(due)) * (rng.random(len(due)) < _DELAYED_SHARE),
    )
    ideal = due["ideal_send_date"].to_numpy()
    send = basis.open_days.next_open((ideal + delay).astype(np.int32))
    is_sent = (send >= basis.today) & (send < as_of) & (send <= due["deadline"].to_numpy())
    is_sent &= rng.random(len(due)) >= _LOST_SHARE
    is_allowed = _is_allowed(basis, due["contact_id"], send) & _is_allowed(basis, due["contact_id"], ideal)
    is_sent &= is_allowed | ~due["is_window_bound"].to_numpy()
    sent = due.assign(send_date=send, initial_email_id=np.int64(0))[is_sent]
    sent = sent.sort_values(["contact_id", "send_date", "priority"], ignore_index=True)
    limits = config.load_balancing
    is_too_many = _is_too_close(sent, limits.max_emails_per_contact_per_period, limits.period_days)
    return sent.loc[~is_too_many, _EMAIL_COLUMNS].reset_index(drop=True)


def _is_allowed(basis: PlanningBasis, contact_ids: pd.Series, days: Days) -> Flags:
    """Tell whether each day lies outside the exclusion windows of its contact."""
    allowed: Flags = basis.windows.reasons(basis.positions(contact_ids.to_numpy()), days) == ALLOWED
    return allowed


def _is_too_close(emails: pd.DataFrame, count: int, days: int) -> Flags:
    """Tell which emails are less than ``days`` after the one that lies ``count`` before it, of one contact.

    ``emails`` are sorted by contact and date.
    """
    contact, day = emails["contact_id"].to_numpy(), emails["send_date"].to_numpy()
    is_close = np.zeros(len(emails), np.bool_)
    if 0 < count < len(emails):
        is_close[count:] = (contact[count:] == contact[:-count]) & (day[count:] - day[:-count] < days)
    return is_close


def _statuses(count: int, rng: np.random.Generator) -> pd.Categorical:
    return pd.Categorical.from_codes(
        rng.choice(len(_STATUSES), size=count, p=_STATUS_SHARES), dtype=_STATUS_DTYPE
    )


def _engagement(
    emails: pd.DataFrame, as_of: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.int64]]:
    """Return clicks, answers, and the code of the follow-up type that they lead to for each email."""
    count = len(emails)
    has_clicked = (emails["status"] != "failed").to_numpy() & (rng.random(count) < _CLICKED_SHARE)
    has_answered = has_clicked & (rng.random(count) < _ANSWERED_SHARE)
    has_conditions = rng.random(count) < _CONDITIONS_SHARE
    day = np.minimum(emails["send_date"].to_numpy() + rng.integers(0, 2, size=count), as_of - 1)
    names_email = rng.random(count) >= _UNNAMED_CLICK_SHARE
    contact_ids = emails["contact_id"].to_numpy()
    clicks = pd.DataFrame(
        {
            "contact_id": contact_ids[has_clicked],
            "email_schedule_id": np.where(names_email, emails["id"].to_numpy(), 0)[has_clicked],
            "day": day[has_clicked].astype(np.int32),
        }
    )
    answers = pd.DataFrame(
        {
            "contact_id": contact_ids[has_answered],
            "day": day[has_answered].astype(np.int32),
            "has_conditions": has_conditions[has_answered],
        }
    )
    # positions in FOLLOW_UP_TYPES
    behaviour = np.select([has_answered & has_conditions, has_answered, has_clicked], [3, 2, 1], 0)
    return clicks, answers, behaviour


def _follow_ups(
    basis: PlanningBasis,
    emails: pd.DataFrame,
    behaviour: npt.NDArray[np.int64],
    as_of: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the follow-ups of the emails that were sent long enough ago, one a contact and lookback."""
    timing = basis.config.timing_constants
    ideal = emails["send_date"].to_numpy() + np.int32(timing.followup_days_after)
    send = basis.open_days.next_open(ideal)
    is_sent = emails["expects_follow_up"].to_numpy() & (emails["status"] != "failed").to_numpy()
    is_sent &= (send < as_of) & (rng.random(len(emails)) >= _LOST_FOLLOW_UP_SHARE)
    is_sent &= _is_allowed(basis, emails["contact_id"], send)
    types = basis.email_types
    codes = np.array([types.categories.get_loc(name) for name in FOLLOW_UP_TYPES])
    follow_ups = emails.assign(
        email_type=pd.Categorical.from_codes(codes[behaviour], dtype=types),
        initial_email_id=emails["id"],
        ideal_send_date=ideal,
        send_date=send,
    )[is_sent]
    lookback = timing.followup_lookback_days + timing.followup_days_after
    follow_ups = follow_ups[~_is_too_close(follow_ups, 1, lookback)]
    first_id = int(emails["id"].max()) + 1 if len(follow_ups) else 0
    return follow_ups.assign(
        id=np.arange(first_id, first_id + len(follow_ups), dtype=np.int64),
        status=_statuses(len(follow_ups), rng),
    )
