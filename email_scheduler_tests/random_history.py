"""Random histories that stress the planning rules, from one ``random.Random``."""

import contextlib
import random
from datetime import date, timedelta

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.builders import Row, answer, click, email_row
from email_scheduler_tests.random_contacts import in_year

SENDER_STATUSES = (
    *("sent", "sent", "sent", "sent", "delivered", "delivered", "delivered"),
    *("scheduled", "processing", "failed", "bounced", None),
)
CORRECTIONS = (0, 0, 0, 2, -5, 30, 60, 61, -60, 182, 183, -182, -183)


def random_history(
    rng: random.Random,
    today: date,
    config: SchedulerConfig,
    contacts: list[Row],
    instances: list[Row],
    targets: list[Row],
) -> list[Row]:
    """Return rows of the sender, of all statuses and types, and pre-scheduled rows of the older program."""
    rows: list[Row] = []
    first_id = rng.choice([1, 900, 2**35])
    busy_days = [today + timedelta(days=rng.randint(-40, 0)) for _ in range(rng.randint(1, 4))]
    intensity = rng.choice([0, 1, 2, 3, 5])
    # the sender's rows of a contact that is gone still take up their day
    gone = {**contacts[0], "id": 2**50}
    for one in [*contacts, gone]:
        for _ in range(rng.randint(0, intensity)):
            row = random_email_row(rng, today, config, one, instances, targets, busy_days)
            if row["email_type"].startswith("followup_"):
                row |= after_an_initial_email(rng, config, rows)
            rows.append({**row, "id": first_id + len(rows)})
    return rows


def random_email_row(
    rng: random.Random,
    today: date,
    config: SchedulerConfig,
    one: Row,
    instances: list[Row],
    targets: list[Row],
    busy_days: list[date],
) -> Row:
    """Return one row of ``email_schedules``, without its id."""
    any_day = today + timedelta(days=rng.choice([-1, 0, 1, rng.randint(-40, 2), rng.randint(-400, 60)]))
    send_date = rng.choice([any_day, any_day, *busy_days])
    kind = rng.choice([*["anniversary"] * 5, *["campaign"] * 3, "follow_up", "rate_increase"])
    email_type, event_date = rng.choice(anniversary_events(rng, today, config, one))
    instance_id = 0
    status = rng.choice(SENDER_STATUSES)
    metadata = None
    if kind == "campaign" and instances:
        instance = rng.choice(instances)
        # some were sent before the instance was given another type
        other_rng = random.Random(f"type of {instance['id']} for {one['id']} on {any_day}")
        others = [other_rng.choice(instances)["campaign_type"], "gone"]
        its_type = other_rng.choice([instance["campaign_type"]] * 9 + others)
        email_type, instance_id = f"campaign_{its_type}", instance["id"]
        event_date = random_campaign_event(rng, today, one, instance, targets)
        metadata = rng.choice(
            [None, None, '{"variant": "a"}', '{"variant": "gone", "x": 1}', "[]", "b", '{"variant": 1}']
        )
        # a row without an event date answers what was due on the day that it was sent
        send_date = rng.choice([send_date, send_date, event_date])
    elif kind == "follow_up":
        email_type = rng.choice(["followup_1_cold", "followup_2_clicked_no_hq", "followup_4_hq_with_yes"])
    elif kind == "rate_increase":
        email_type = "rate_increase"
        status = rng.choice(["pre-scheduled", "pre-scheduled", "pre-scheduled", "sent"])
    if status in {"pre-scheduled", "scheduled", "processing"} and rng.random() < 0.8:
        send_date = today + timedelta(days=rng.choice([0, 1, 2, rng.randint(0, 30)]))
    return email_row(
        0,
        one["id"],
        email_type,
        rng.choice([send_date.isoformat()] * 20 + [None, f"{send_date} 00:00:00"]),
        rng.choice([event_date.isoformat()] * 6 + [None, "2025-02-30", "2025-02-29"]),
        status=status,
        actual_send_datetime=random_actual_send(rng, send_date) if status in {"sent", "delivered"} else None,
        campaign_instance_id=instance_id,
        priority=rng.choice([None, 1, 3, 5, 5, 8]),
        metadata=metadata,
    )


def after_an_initial_email(rng: random.Random, config: SchedulerConfig, earlier: list[Row]) -> Row:
    """Return what makes a follow-up one of an earlier row, sent at the limit of the lookback, or of none."""
    if not earlier:
        return {}
    initial = rng.choice(earlier[-3:])
    change: Row = {"initial_email_id": rng.choice([0, 0, initial["id"]])}
    if rng.random() < 0.6 and initial["scheduled_send_date"]:
        lookback = config.timing_constants.followup_lookback_days
        sent_on = date.fromisoformat(initial["scheduled_send_date"][:10])
        sent_on -= timedelta(days=lookback + rng.choice([-1, 0, 1]))
        change |= {"contact_id": initial["contact_id"], "scheduled_send_date": sent_on.isoformat()}
    return change


def random_actual_send(rng: random.Random, send_date: date) -> str | None:
    """Return when an email went out: on its day, or some days later."""
    day = send_date + timedelta(days=rng.choice([0, 0, 1, 3]))
    return rng.choice([None, None, day.isoformat(), f"{day}T14:30:00", f"{day} 23:59:59", ""])


def anniversary_events(
    rng: random.Random, today: date, config: SchedulerConfig, one: Row
) -> list[tuple[str, date]]:
    """Return events of the four anniversary types near today, corrected by some days as if edited since."""
    events = []
    for email_type, column in (("birthday", "birth_date"), ("effective_date", "effective_date")):
        anchor = today
        with contextlib.suppress(ValueError):
            anchor = date.fromisoformat((one[column] or "").strip()[:10])
        events.append((email_type, in_year(anchor, today.year + rng.choice([-1, 0, 0, 1, 1]))))
    for entry in config.aep_config.default_dates:
        aep_date = in_year(date(2024, entry.month, entry.day), today.year + rng.choice([-1, 0, 0, 1]))
        events.append(("aep", aep_date))
    events.append(("post_window", today + timedelta(days=rng.randint(-70, 70))))
    return [(email_type, day + timedelta(days=rng.choice(CORRECTIONS))) for email_type, day in events]


def random_campaign_event(
    rng: random.Random, today: date, one: Row, instance: Row, targets: list[Row]
) -> date:
    """Return the trigger date of one of the contact's targets, or any."""
    for row in targets:
        if row["contact_id"] == one["id"] and row["campaign_instance_id"] == instance["id"]:
            try:
                return date.fromisoformat((row["trigger_date"] or "").strip()[:10])
            except ValueError:
                continue
    return today + timedelta(days=rng.randint(-40, 60))


def moment(rng: random.Random, day: date) -> str | None:
    """Return a timestamp on a day, in any of its forms, rarely an unreadable one."""
    if rng.random() < 0.04:
        return rng.choice([None, "", "yesterday", "2026-13-01T00:00:00"])
    hour = rng.randint(0, 23)
    return rng.choice([f"{day}", f"{day}T{hour:02d}:00:00", f"{day} {hour:02d}:00:00", f"{day}T23:59:59Z"])


def random_clicks(rng: random.Random, today: date, contacts: list[Row], history: list[Row]) -> list[Row]:
    """Return clicks that name an email of the contact, of another contact, or none."""
    ids = [row["id"] for row in history]
    rows = [
        click(
            row["contact_id"],
            moment(rng, today + timedelta(days=rng.randint(-40, 2))),
            rng.choice([row["id"], row["id"], 0, 0, rng.choice(ids)]),
        )
        for row in history
        if rng.random() < 0.3
    ]
    return rows + [click(row["id"], moment(rng, today)) for row in contacts if rng.random() < 0.05]


def random_answers(rng: random.Random, today: date, history: list[Row]) -> list[Row]:
    """Return answers with and without conditions, several on one day, some unreadable."""
    texts = [
        '{"has_medical_conditions": true}',
        '{"has_medical_conditions": false, "main_questions_yes_count": 2}',
        '{"main_questions_yes_count": 0.5}',
        '{"main_questions_yes_count": 0}',
        '{"has_medical_conditions": false}',
        '{"has_medical_conditions": "true", "main_questions_yes_count": "3"}',
        '{"has_medical_conditions": 1, "main_questions_yes_count": true}',
        '{"main_questions_yes_count": null}',
        "{}",
        None,
        " ",
        "[1]",
        "yes",
        '{"has_medical_conditions": true',
    ]
    rows: list[Row] = []
    busy_days = [today + timedelta(days=rng.randint(-10, 1)) for _ in range(2)]
    for row in history:
        for _ in range(rng.choice([0, 0, 0, 1, 1, 3])):
            day = rng.choice([*busy_days, today + timedelta(days=rng.randint(-20, 1))])
            rows.append(answer(0, row["contact_id"], moment(rng, day), rng.choice(texts)))
    ids = rng.sample(range(1, 10_000), len(rows))
    return [{**row, "id": number} for row, number in zip(rows, ids, strict=True)]
