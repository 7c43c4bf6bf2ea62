"""Random audiences, and columns of contacts that they are about, from one ``random.Random``."""

import json
import random
from datetime import date, timedelta

from email_scheduler_tests.builders import Row
from email_scheduler_tests.random_contacts import STATES, UNREADABLE_DATES, in_year, written

CARRIERS = ("acme", "Acme", " ACME ", "étoile", "other", "7", "", " ", None)
PREMIUMS = ("100", "100.0", " 1e2 ", "-5", "99.5", "07", "", None, "n/a", "1.", "$100", "2500", "1e-2")
MONTHS = ("3", "4", "5 ", "x", None)


def random_attributes(rng: random.Random, today: date, contacts: list[Row]) -> list[Row]:
    """Return columns of an agency's own, or none; one looks like the month of a date."""
    if rng.random() < 0.1:
        return []
    columns = rng.sample(
        ["carrier", "premium", "rate_change_date", "review", "policy_month"], rng.randint(2, 5)
    )
    shared = [today + timedelta(days=rng.randint(-30, 60)) for _ in range(2)]
    known = contacts if rng.random() < 0.9 else contacts[1:]
    return [{"id": row["id"], **{name: random_cell(rng, name, shared) for name in columns}} for row in known]


def random_cell(rng: random.Random, column: str, shared: list[date]) -> str | None:
    """Return what a column holds for a contact."""
    if column == "carrier":
        return rng.choice(CARRIERS)
    if column == "premium":
        return rng.choice(PREMIUMS)
    if column == "policy_month":
        return rng.choice(MONTHS)
    if rng.random() < 0.2:
        return rng.choice([None, "", " ", *UNREADABLE_DATES, "2100-12-31", "2101-01-01", "1900-01-01"])
    day = rng.choice(shared) + timedelta(days=rng.choice([0, 0, 1, rng.randint(-200, 200)]))
    return written(
        rng, day if column == "rate_change_date" else in_year(day, rng.choice([2016, 2020, day.year]))
    )


def with_audiences(
    rng: random.Random, today: date, instances: list[Row], contacts: list[Row], attributes: list[Row]
) -> list[Row]:
    """Return the instances, of which some have an audience now."""
    return [
        with_audience(rng, today, row, contacts, attributes) if rng.random() < 0.6 else row
        for row in instances
    ]


def with_audience(
    rng: random.Random, today: date, instance: Row, contacts: list[Row], attributes: list[Row]
) -> Row:
    """Return an instance with an audience in its metadata."""
    columns = [*contacts[0], *(name for row in attributes[:1] for name in row)]
    try:
        metadata = json.loads(instance["metadata"] or "{}")
    except ValueError:
        metadata = {}
    where = random_where(rng, today, columns, contacts)
    trigger = random_trigger(rng, today, columns)
    audience: dict[str, object] = {"where": where} if where or trigger is None else {}
    if not where and trigger is None:
        audience = {"where": {"id": {"min": 0}}}
    if trigger is not None:
        audience["trigger"] = trigger
    return {**instance, "metadata": json.dumps({**metadata, "audience": audience})}


def random_where(
    rng: random.Random, today: date, columns: list[str], contacts: list[Row]
) -> dict[str, object]:
    """Return up to two conditions that a good part of the contacts meet."""
    day = (today + timedelta(days=rng.randint(-30, 60))).isoformat()
    years = [str(row["effective_date"]).strip()[:10] for row in contacts]
    conditions: dict[str, list[object]] = {
        "state": [["TX", "CA", "FL", "MO"], "CA", rng.sample(STATES, 3), {"not": ["CA", "TX"]}],
        "zip_code": [{"min": 20_000}, {"min": 0, "max": 60_000}],
        "phone_number": ["", [None, "555-0100"]],
        "id": [{"max": contacts[len(contacts) // 2]["id"]}, [row["id"] for row in contacts[::2]]],
        "effective_date": [{"min": "2019-01-01"}, {"max": "2020-06-30"}, years[:3] or "", None],
        "effective_month": [[today.month, today.month % 12 + 1], {"min": 6}],
        "birth_year": [{"max": 1950}, {"min": 1936, "max": 1951}, [1948, 1936]],
        "carrier": [
            "acme",
            ["ACME", "", "other"],
            ["acme", None, 7],
            7,
            {"max": 10},
            {"min": "2020-01-01"},
            "Étoile",
            {"not": ["ACME", None, 7]},
        ],
        "premium": [100, {"min": 0}, {"min": -10.5, "max": 100}, ["n/a", 100.0, "07"], None],
        "rate_change_date": [{"min": "1900-01-01"}, {"min": day}, {"max": day}, {"not": day}, [None, day]],
        "rate_change_month": [list(range(1, 7)), {"max": 9}, {"not": [1, 2]}],
        "review": [{"min": "2010-01-01", "max": day}, day],
        "policy_month": [["3", 4], {"min": 4}],
    }
    known = [name for name in conditions if name in columns]
    known += [
        f"{name}_{part}" for name in ("effective", "birth", "rate_change") for part in ("month", "year")
    ]
    known = [
        name
        for name in known
        if name in conditions and (name in columns or f"{name.rsplit('_', 1)[0]}_date" in columns)
    ]
    where = {}
    for name in rng.sample(["state", *known], rng.choice([0, 1, 1, 1, 2])):
        condition = rng.choice(conditions[name])
        if name.endswith("_date") and isinstance(condition, list):
            condition = [each for each in condition if each is None or is_iso(each)] or None
        where[rng.choice([name, name, name.upper()])] = condition
    return {name: value for name, value in where.items() if name.lower() not in set(where) - {name}}


def is_iso(text: object) -> bool:
    """Say whether a text is a date that a configuration takes."""
    try:
        return len(str(text)) == 10 and 1900 <= date.fromisoformat(str(text)).year <= 2200
    except ValueError:
        return False


def random_trigger(rng: random.Random, today: date, columns: list[str]) -> dict[str, str] | None:
    """Return what the emails are about: nothing of its own, a date, a column, an anniversary."""
    dates = [
        name for name in ("effective_date", "birth_date", "rate_change_date", "review") if name in columns
    ]
    return rng.choice(
        [
            None,
            {"date": (today + timedelta(days=rng.randint(-30, 60))).isoformat()},
            {"column": rng.choice(dates)},
            {"anniversary_of": rng.choice(dates)},
            {"anniversary_of": rng.choice(dates).upper()},
        ]
    )
