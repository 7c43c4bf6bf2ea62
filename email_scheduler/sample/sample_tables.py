"""The rows of a sample organisation as the tables of its database hold them: Arrow tables, ready to load."""

import json
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning import NO_DATE, Days, format_days
from email_scheduler.registry import (
    ANNIVERSARY_TYPES,
    CAMPAIGN_PREFIX,
    CATCH_UP,
    FOLLOW_UP_EMAILS,
    REDISTRIBUTED,
    SENT_STATUSES,
)
from email_scheduler.sample.sample_history import Instance, SampleHistory

Numbers = npt.NDArray[np.int64]

_RUN_ID: Final = "sample"
_SENDING_SECONDS: Final = 5400
_DAY_SECONDS: Final = 86_400
_MIDDAY_SECONDS: Final = 43_200
_EVENING_SECONDS: Final = 82_800
_CLICKED_URL: Final = "https://agency.example.com/health-questions"
_ANSWERS: Final = (
    {"has_medical_conditions": False, "main_questions_yes_count": 0},
    {"has_medical_conditions": True, "main_questions_yes_count": 0},
    {"has_medical_conditions": False, "main_questions_yes_count": 2},
)


def campaign_tables(
    config: SchedulerConfig, instances: tuple[Instance, ...], as_of: date
) -> dict[str, pa.Table]:
    """Return the tables ``campaign_types`` and ``campaign_instances``."""
    created_at = f"{as_of.isoformat()}T00:00:00"
    types = [
        {"name": name, **campaign_type.model_dump(), "created_at": created_at, "updated_at": created_at}
        for name, campaign_type in config.campaign_types.items()
    ]
    rows = [
        {
            "id": instance.id,
            "campaign_type": instance.campaign_type,
            "instance_name": instance.instance_name,
            "email_template": instance.email_template,
            "sms_template": instance.sms_template,
            "active_start_date": instance.active_start_date.isoformat(),
            "active_end_date": instance.active_end_date and instance.active_end_date.isoformat(),
            "metadata": instance.metadata and json.dumps(instance.metadata),
            "created_at": created_at,
            "updated_at": created_at,
            "active": True,
        }
        for instance in instances
    ]
    return {"campaign_types": pa.Table.from_pylist(types), "campaign_instances": pa.Table.from_pylist(rows)}


def emails_table(
    emails: pd.DataFrame, instances: tuple[Instance, ...], config: SchedulerConfig, rng: np.random.Generator
) -> pa.Table:
    """Return ``email_schedules``: one row an email of ``SampleHistory``."""
    event = emails["event_date"].to_numpy().astype("datetime64[D]")
    months, years = event.astype("datetime64[M]"), event.astype("datetime64[Y]")
    send, ideal = emails["send_date"].to_numpy(), emails["ideal_send_date"].to_numpy()
    is_follow_up = (emails["initial_email_id"] > 0).to_numpy()
    is_late = (send > ideal) & ~is_follow_up
    hour, minute, second = map(int, config.timing_constants.send_time.split(":"))
    seconds = hour * 3600 + minute * 60 + second + rng.integers(_SENDING_SECONDS, size=len(emails))
    sent_at = _timestamps(send, np.minimum(seconds, _DAY_SECONDS - 1))
    return pa.table(
        {
            "id": pa.array(emails["id"]),
            "contact_id": pa.array(emails["contact_id"]),
            "email_type": pa.array(emails["email_type"]),
            "scheduled_send_date": _dates(send),
            "scheduled_send_time": _constant(config.timing_constants.send_time, len(emails)),
            "status": pa.array(emails["status"]),
            "priority": pa.array(emails["priority"]),
            "campaign_instance_id": _ids_or_null(emails["campaign_instance_id"]),
            "email_template": _templates(emails["email_type"], instances, config),
            "scheduler_run_id": _constant(_RUN_ID, len(emails)),
            "event_year": pa.array((years.astype(np.int64) + 1970).astype(np.int32)),
            "event_month": pa.array((months.astype(np.int64) % 12 + 1).astype(np.int32)),
            "event_day": pa.array(((event - months).astype(np.int64) + 1).astype(np.int32)),
            "ideal_send_date": _dates(ideal),
            "adjustment": _labels(np.select([is_follow_up, is_late], [1, 0], -1), [REDISTRIBUTED, CATCH_UP]),
            "initial_email_id": _ids_or_null(emails["initial_email_id"]),
            "created_at": _dates(ideal, suffix="T05:00:00"),
            "updated_at": _dates(send, suffix="T12:00:00"),
            "actual_send_datetime": pc.if_else(
                pa.array((emails["status"] != "failed").to_numpy()), sent_at, pa.scalar(None, pa.string())
            ),
        }
    )


def targets_table(targets: pd.DataFrame, emails: pd.DataFrame, first_id: int, as_of: date) -> pa.Table:
    """Return ``contact_campaigns``; a target whose email was sent says so."""
    # a target is one contact in one campaign here, so that the contact tells which email was its own
    is_campaign = emails["campaign_instance_id"].gt(0) & emails["initial_email_id"].eq(0)
    reached = emails.loc[is_campaign & emails["status"].isin(SENT_STATUSES), "contact_id"]
    status = np.select([targets["is_dismissed"], targets["contact_id"].isin(reached)], [1, 2], 0)
    created_at = _constant(f"{as_of.isoformat()}T00:00:00", len(targets))
    return pa.table(
        {
            "id": pa.array(np.arange(first_id, first_id + len(targets), dtype=np.int64)),
            "contact_id": pa.array(targets["contact_id"]),
            "campaign_instance_id": pa.array(targets["campaign_instance_id"]),
            "trigger_date": _dates(targets["trigger_date"].to_numpy()),
            "status": _labels(status, ["pending", "skipped", "sent"]),
            "created_at": created_at,
            "updated_at": created_at,
        }
    )


def clicks_table(history: SampleHistory, first_id: int, rng: np.random.Generator) -> pa.Table:
    """Return ``tracking_clicks``."""
    clicks = history.clicks
    count = len(clicks)
    return pa.table(
        {
            "id": pa.array(np.arange(first_id, first_id + count, dtype=np.int64)),
            "contact_id": pa.array(clicks["contact_id"]),
            "email_schedule_id": _ids_or_null(clicks["email_schedule_id"]),
            "clicked_at": _timestamps(clicks["day"].to_numpy(), _times(count, rng)),
            "url": _constant(_CLICKED_URL, count),
        }
    )


def answers_table(history: SampleHistory, first_id: int, rng: np.random.Generator) -> pa.Table:
    """Return ``contact_events``: answered health questions, with and without conditions."""
    answers = history.answers
    count = len(answers)
    form = np.where(answers["has_conditions"], rng.integers(1, 3, size=count), 0)
    return pa.table(
        {
            "id": pa.array(np.arange(first_id, first_id + count, dtype=np.int64)),
            "contact_id": pa.array(answers["contact_id"]),
            "event_type": _constant("eligibility_answered", count),
            "event_data": _labels(form, [json.dumps(each) for each in _ANSWERS]),
            "created_at": _timestamps(answers["day"].to_numpy(), _times(count, rng)),
        }
    )


def _templates(email_types: pd.Series, instances: tuple[Instance, ...], config: SchedulerConfig) -> pa.Array:
    anniversary, follow_up = config.email_templates.anniversary, config.email_templates.followups
    names = {name: getattr(anniversary, name) for name in ANNIVERSARY_TYPES}
    names |= {name: getattr(follow_up, each.kind) for name, each in FOLLOW_UP_EMAILS.items()}
    names |= {CAMPAIGN_PREFIX + each.campaign_type: each.email_template for each in instances}
    texts = pa.array([names.get(name) for name in email_types.cat.categories], pa.string())
    return texts.take(pa.array(email_types.cat.codes))


def _constant(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text]))


def _labels(codes: Numbers, names: list[str]) -> pa.Array:
    """Return the name at each code, null where it is negative."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names))


def _times(count: int, rng: np.random.Generator) -> Numbers:
    """Return times of day at which people read their emails, in seconds."""
    return rng.integers(_MIDDAY_SECONDS, _EVENING_SECONDS, size=count)


def _ids_or_null(ids: pd.Series) -> pa.Array:
    values = ids.to_numpy()
    return pa.array(values, mask=values == 0)


def _dates(days: Days, suffix: str = "") -> pa.Array:
    """Return days as text, null where there is none; every day is written out once."""
    is_known = days != NO_DATE
    distinct, codes = np.unique(days[is_known], return_inverse=True)
    indices = np.zeros(len(days), np.int32)
    indices[is_known] = codes
    texts = [f"{text}{suffix}" for text in format_days(distinct)]
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=~is_known), pa.array(texts, pa.string()))


def _timestamps(days: Days, seconds: Numbers) -> pa.Array:
    moments = pa.array(days.astype(np.int64) * _DAY_SECONDS + seconds, pa.timestamp("s"))
    return pc.strftime(moments, format="%Y-%m-%dT%H:%M:%S")
