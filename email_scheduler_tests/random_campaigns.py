"""Random campaigns that stress the planning rules, from one ``random.Random``."""

import json
import random
from datetime import date, timedelta

from email_scheduler_tests.builders import Row, campaign_instance, campaign_type, target

TYPE_NAMES = ("letter", "blast", "rate_increase", "aep")


def random_types(rng: random.Random) -> list[Row]:
    """Return up to four campaign types, often with the same days before their event."""
    days_before = rng.sample([14, 7, 1, 0, -1, -10, 40], rng.choice([1, 1, 2, 4]))
    most = rng.choice([3, 6])
    return [
        campaign_type(
            name,
            respect_exclusion_windows=rng.random() < 0.6,
            enable_followups=rng.random() < 0.6,
            days_before_event=rng.choice([0, *days_before, *days_before]),
            target_all_contacts=rng.random() < 0.3,
            priority=rng.randint(3, most) if rng.random() < 0.8 else 1,
            active=rng.random() < 0.93,
        )
        for name in rng.sample(TYPE_NAMES, rng.choice([0, 1, 2, 4]))
    ]


def random_instances(rng: random.Random, today: date, types: list[Row]) -> list[Row]:
    """Return up to six instances of these types, some of the same type."""
    if not types:
        return []
    instances = []
    first_id = rng.choice([1, 100, 2**33])
    for number in range(rng.randint(1, 6)):
        start = today + timedelta(days=rng.choice([-400, -20, -5, 0, 1, 10, 30]))
        end = rng.choice([today, today - timedelta(days=1), start + timedelta(days=rng.randint(0, 120))])
        instances.append(
            campaign_instance(
                first_id + number,
                rng.choice(types)["name"],
                rng.choice([None, start.isoformat(), start.isoformat()]),
                rng.choice([None, "9999-12-31", end.isoformat(), end.isoformat(), end.isoformat()]),
                metadata=random_metadata(rng, today),
                active=rng.random() < 0.93,
                instance_name=f"instance {number}",
                email_template=rng.choice([None, f"email_{number}", f"email_{number}"]),
                sms_template=rng.choice([None, f"sms_{number}"]),
            )
        )
    return instances


def random_metadata(rng: random.Random, today: date) -> str | None:
    """Return the JSON text of an instance's metadata: nothing, other things, or overrides."""
    if rng.random() < 0.4:
        return rng.choice([None, None, "", "{}", '{"region": "south"}'])
    overrides = {
        "respect_exclusion_windows": rng.random() < 0.5,
        "enable_followups": rng.random() < 0.6,
        "days_before_event": rng.choice([14, 3, 0, 0, -4, 30]),
        "priority": rng.randint(1, 6),
        "trigger_date": (today + timedelta(days=rng.randint(-30, 60))).isoformat(),
        "followup_templates": {"cold": "own_cold", "hq_with_conditions": "own_conditions"},
        "followup_sms_templates": {"cold": "own_cold_sms", "clicked_no_hq": "own_clicked_sms"},
    }
    said = {name: value for name, value in overrides.items() if rng.random() < 0.35}
    if rng.random() < 0.6:
        said["variants"] = random_variants(rng)
    return json.dumps(said)


def random_variants(rng: random.Random) -> list[dict[str, object]]:
    """Return two to four variants of every weight, some with a text message of their own."""
    variants = []
    for name in rng.sample(["a", "b", "c", "0_control"], rng.choice([2, 2, 3, 4])):
        weight = rng.choice([1, 1, 50, 10, 7, rng.randint(1, 1_000_000)])
        variant: dict[str, object] = {"name": name, "weight": weight, "email_template": f"email_{name}"}
        if rng.random() < 0.4:
            variant["sms_template"] = rng.choice([None, f"sms_{name}"])
        variants.append(variant)
    return variants


def random_targets(rng: random.Random, today: date, contacts: list[Row], instances: list[Row]) -> list[Row]:
    """Return targets of all statuses, many on the same dates, some without a readable date."""
    rows: list[Row] = []
    taken: set[tuple[object, ...]] = set()
    dates = [(today + timedelta(days=rng.randint(-40, 90))).isoformat() for _ in range(rng.randint(1, 3))]
    dates += [row["active_start_date"] for row in instances if row["active_start_date"]]
    first_id = rng.choice([1, 5000])
    share = rng.choice([0.1, 0.4, 0.8])
    for instance in instances:
        for row in contacts:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                if rng.random() > share:
                    continue
                trigger_date = random_trigger_date(rng, today, dates)
                # unique in the database, where no two missing dates are equal
                key = (row["id"], instance["id"], trigger_date)
                if trigger_date is not None and key in taken:
                    continue
                taken.add(key)
                status = rng.choice(
                    ["pending", "pending", "pending", "scheduled", "scheduled", "sent", "skipped"]
                )
                rows.append(target(first_id + len(rows), row["id"], instance["id"], trigger_date, status))
    return rows


def random_trigger_date(rng: random.Random, today: date, shared: list[str]) -> str | None:
    """Return a trigger date: shared, or any, or none, or an unreadable one."""
    chance = rng.random()
    if chance < 0.1:
        return rng.choice([None, None, "", " ", "tomorrow", "2026-02-30"])
    if chance < 0.75:
        return rng.choice(shared)
    day = (today + timedelta(days=rng.randint(-60, 200))).isoformat()
    return rng.choice([day, day, day, f"{day}T00:00:00", f" {day}"])
