"""Follow-ups: what a contact did after an email decides what comes next (section 10 of the rules)."""

import json
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import is_label, labels, skip_codes, skip_reasons
from email_scheduler.planning.columns import Flags, date_parts, to_day
from email_scheduler.planning.frames import ANSWERS_TABLE, CLICKS_TABLE, FOLLOW_UPS, NO_DATE, NO_NUMBER
from email_scheduler.planning.rules.campaign_instances import CampaignInstance
from email_scheduler.planning.rules.contacts import issues
from email_scheduler.planning.rules.history import has_type
from email_scheduler.registry import (
    ANNIVERSARY_TYPES,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_PREFIX,
    FOLLOW_UP_TYPES,
    SENT_STATUSES,
)


def plan_follow_ups(
    basis: PlanningBasis, clicks: pd.DataFrame, answers: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the follow-up of each contact that was sent an email lately, at most one a contact (section 10).

    Args:
        basis: What planning looks at.
        clicks: ``CLICKS_TABLE``.
        answers: ``ANSWERS_TABLE``.

    Returns:
        ``FOLLOW_UPS``, and ``CONTACT_ISSUES`` of answers that decide and cannot be read.
    """
    config = basis.config
    initial = _initial_emails(basis)
    if not config.features.enable_followups:
        initial = initial.iloc[:0]
    sent = initial["send_date"].to_numpy()
    is_clicked = _is_clicked(initial, clicks, basis.as_of)
    is_answered, has_conditions, unreadable = _read_answers(initial, answers, basis.as_of)
    decision = np.select([has_conditions, is_answered, is_clicked], [3, 2, 1], 0)

    ideal = sent + np.int32(config.timing_constants.followup_days_after)
    day = basis.open_days.next_open(np.maximum(ideal, np.int32(basis.today)))
    rows = basis.positions(initial["contact_id"].to_numpy())
    codes = np.array([basis.email_types.categories.get_loc(name) for name in FOLLOW_UP_TYPES], np.int16)
    frame = FOLLOW_UPS.build(
        {
            "contact_id": initial["contact_id"].to_numpy(),
            "email_type": pd.Categorical.from_codes(codes[decision], dtype=basis.email_types),
            "campaign_instance_id": initial["campaign_instance_id"].to_numpy(),
            "event_date": initial["event_date"].to_numpy(),
            "initial_email_id": initial["id"].to_numpy(),
            "ideal_send_date": ideal,
            "send_date": day,
            "priority": initial["priority"].to_numpy(),
            "skip_reason": skip_reasons(skip_codes(basis.windows.reasons(rows, day))),
            "metadata": _metadata(
                initial, is_clicked, is_answered, has_conditions, decision, basis.instances
            ),
        }
    )
    return frame, issues({"unreadable_event_data": unreadable})


def _initial_emails(basis: PlanningBasis) -> pd.DataFrame:
    """Return the rows of ``HISTORY`` that are followed up, one a contact, their priorities filled in."""
    config, history, instances = basis.config, basis.history, basis.instances
    lookback = config.timing_constants.followup_lookback_days
    followed = [i.id for i in instances.values() if i.is_active and i.enables_follow_ups]
    send_date = history["send_date"].to_numpy()
    is_recent = (send_date >= basis.today - lookback) & (send_date <= basis.today) & basis.is_live(send_date)
    recent = history[is_recent & is_label(history["status"], SENT_STATUSES)]
    of_campaign = has_type(recent, CAMPAIGN_PREFIX) & recent["campaign_instance_id"].isin(followed)
    initial = recent[
        (is_label(recent["email_type"], ANNIVERSARY_TYPES) | of_campaign)
        & (basis.positions(recent["contact_id"].to_numpy()) >= 0)
    ]
    made = history[history["is_senders"] & has_type(history, FOLLOW_UP_PREFIX)]
    latest = made.groupby("contact_id")["send_date"].max()
    latest_of_contact = initial["contact_id"].map(latest).fillna(NO_NUMBER).astype(np.int64)
    is_passed_over = initial["id"].isin(made["initial_email_id"]) | (
        latest_of_contact >= initial["send_date"].astype(np.int64) - lookback
    )
    initial = initial[~is_passed_over]
    priority = _priorities(initial, instances, config)
    chosen = (
        initial.assign(priority=priority, later=-initial["send_date"], higher=-initial["id"])
        .sort_values(["contact_id", "later", "priority", "higher"])
        .drop_duplicates("contact_id")
    )
    return chosen.drop(columns=["later", "higher"]).reset_index(drop=True)


def _priorities(
    initial: pd.DataFrame, instances: dict[int, CampaignInstance], config: SchedulerConfig
) -> npt.NDArray[np.int32]:
    """Return the priority of each row; older rows hold none and get what is configured for them."""
    by_type = {name: getattr(config.priorities, name) for name in ANNIVERSARY_TYPES}
    configured = initial["email_type"].astype("str").map(by_type)
    of_instance = initial["campaign_instance_id"].map({i.id: i.priority for i in instances.values()})
    stored = initial["priority"].where(initial["priority"] != NO_NUMBER)
    filled: npt.NDArray[np.int32] = stored.fillna(configured).fillna(of_instance).to_numpy().astype(np.int32)
    return filled


def _is_clicked(initial: pd.DataFrame, clicks: pd.DataFrame, as_of: date) -> Flags:
    clicks = CLICKS_TABLE.check(clicks)[clicks["contact_id"].isin(initial["contact_id"])]
    clicks = clicks.assign(clicked=date_parts(clicks["clicked_at"]))
    pairs = initial[["id", "contact_id", "send_date"]].merge(clicks, on="contact_id", validate="one_to_many")
    names_it = pairs["email_schedule_id"] == pairs["id"]
    names_none_since = (pairs["email_schedule_id"] == 0) & (pairs["clicked"] >= pairs["send_date"])
    is_dated = pairs["clicked"].between(NO_DATE, to_day(as_of), inclusive="right")
    flags: Flags = initial["id"].isin(pairs["id"][is_dated & (names_it | names_none_since)]).to_numpy()
    return flags


def _read_answers(
    initial: pd.DataFrame, answers: pd.DataFrame, as_of: date
) -> tuple[Flags, Flags, npt.NDArray[np.int64]]:
    """Return who answered, whose deciding answer tells of conditions, and whose cannot be read."""
    answers = ANSWERS_TABLE.check(answers)[answers["contact_id"].isin(initial["contact_id"])]
    answers = answers.assign(
        created=date_parts(answers["created_at"]),
        moment=answers["created_at"].astype("str").str.replace("T", " ", n=1, regex=False),
    )
    pairs = initial[["contact_id", "send_date"]].merge(answers, on="contact_id", validate="one_to_many")
    pairs = pairs[(pairs["created"] >= pairs["send_date"]) & (pairs["created"] <= to_day(as_of))]
    deciding = pairs.sort_values(["contact_id", "moment", "id"]).drop_duplicates("contact_id", keep="last")
    texts = deciding["event_data"].astype("str")
    verdicts = {text: _tells_of_conditions(text) for text in texts.dropna().unique()}
    verdict = texts.map(verdicts)
    contact_ids = initial["contact_id"]
    return (
        contact_ids.isin(deciding["contact_id"]).to_numpy(),
        contact_ids.isin(deciding["contact_id"][verdict == "conditions"]).to_numpy(),
        deciding["contact_id"][verdict == "unreadable"].to_numpy(),
    )


def _tells_of_conditions(text: str) -> str:
    if not text.strip():
        return "none"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "unreadable"
    if not isinstance(data, dict):
        return "unreadable"
    yes_count = data.get("main_questions_yes_count")
    is_positive = isinstance(yes_count, int | float) and not isinstance(yes_count, bool) and yes_count > 0
    return "conditions" if data.get("has_medical_conditions") is True or is_positive else "none"


def _metadata(
    initial: pd.DataFrame,
    is_clicked: Flags,
    is_answered: Flags,
    has_conditions: Flags,
    decision: npt.NDArray[np.int64],
    instances: dict[int, CampaignInstance],
) -> pd.Categorical:
    """Return why each follow-up is what it is, as JSON text."""
    if initial.empty:
        return labels(np.empty(0, np.int32), [])

    def words(flags: Flags) -> pd.Series:
        return pd.Series(np.where(flags, "true", "false"), index=initial.index, dtype="str")

    names: dict[Any, str] = {i.id: f', "campaign_name": {json.dumps(i.name)}' for i in instances.values()}
    of_campaign = has_type(initial, CAMPAIGN_PREFIX)
    name = initial["campaign_instance_id"].map(names).where(of_campaign, "").astype("str").fillna("")
    variant = initial["variant"].astype("str").where(of_campaign)
    variant_of = {each: f', "variant": {json.dumps(each)}' for each in variant.dropna().unique()}
    in_variant = variant.map(variant_of).astype("str").fillna("")
    decided = pd.Series(np.array(FOLLOW_UP_TYPES)[decision], index=initial.index, dtype="str")
    texts = (
        '{"initial_email_id": '
        + initial["id"].astype("str")
        + ', "initial_email_type": '
        + initial["email_type"].astype("str").map(json.dumps)
        + ', "behavior": {"clicked": '
        + words(is_clicked)
        + ', "answered": '
        + words(is_answered)
        + ', "has_conditions": '
        + words(has_conditions)
        + '}, "decision": "'
        + decided
        + '"'
        + name
        + in_variant
        + "}"
    )
    codes, distinct = pd.factorize(texts, sort=True)
    return labels(codes, distinct)
