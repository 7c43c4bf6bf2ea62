"""Random contacts that stress the planning rules, from one ``random.Random``."""

import functools
import random
from datetime import date, timedelta

import zipcodes

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.builders import Row, contact, suppressed_address, suppression
from email_scheduler_tests.random_configuration import RULED_STATES

STATES = (*RULED_STATES, "FL", "KY", "DC")
UNREADABLE_DATES = ("1950-02-30", "1899-12-31", "03/10/1950", "unknown", "1950-3-10", "1950-03-10x", "1900")
INVALID_EMAILS = (None, "", "  ", "a@b", "a b@c.de", "x@y.", "@b.co", "a@@b.co", "a@b.c@d.e", "none",
    "a..b@c.de", ".a@b.co", "a@b..co", "a@b.co.", "<a@b.co>", "'a@b.co", "mailto:a@b.co", "a@10.0.0.1",
    "x@-b.co", "a\u200b@b.co", "\ufeffa@b.co", "a" * 65 + "@b.co", "a@" + "b" * 64 + ".co")  # fmt: skip
INVALID_ZIP_CODES = (None, "", " ", "00000", "99999", "7500", "12", "750011", "75001-", "75001-12", "7500A",
    "75001.00", "2134.5", '="75001', "75001'", "5011234", "''75001")  # fmt: skip
NAMES = {"MA": "Massachusetts", "CA": " CALIFORNIA", "CT": "connecticut", "DC": "District  of\nColumbia"}
# of five addresses
SPELLINGS = (
    "jürgen@example.com", "JÜRGEN@Example.com", "ju\u0308rgen@example.com", "STRASSE@b.example",
    "straße@b.example", "x@münchen.example", "X@xn--mnchen-3ya.example",
    "\u212aim@example.com", "kim@example.com", " o'neil@b.co",
)  # fmt: skip


@functools.cache
def zip_codes_of(state: str) -> list[str]:
    """Return some ZIPs of a state, also some that exist no more."""
    entries = [entry for entry in zipcodes.list_all() if entry["state"] == state]
    closed = [entry["zip_code"] for entry in entries if not entry["active"]]
    return [entry["zip_code"] for entry in entries[:: max(1, len(entries) // 6)]] + closed[:1]


def random_contacts(rng: random.Random, today: date, config: SchedulerConfig) -> list[Row]:
    """Return up to a few dozen contacts, many of which share dates."""
    count = rng.choice([1, 3, 8, 15, 25, 40])
    first_id = rng.choice([1, 1, 1000, 3_000_000, 2**40])
    ids = rng.sample(range(first_id, first_id + 3 * count), count)
    birthdays = shared_days(rng, today, config.timing_constants.birthday_email_days_before)
    anniversaries = shared_days(rng, today, config.timing_constants.effective_date_days_before)
    states = rng.sample(STATES, rng.choice([1, 2, 4, len(STATES)]))
    contacts = []
    for contact_id in ids:
        zip_code, state = random_zip_code(rng, rng.choice(states))
        contacts.append(
            contact(
                contact_id,
                zip_code,
                random_birth_date(rng, today, birthdays),
                random_effective_date(rng, today, anniversaries),
                email=random_email(rng, contact_id, ids),
                state=state,
                phone_number=rng.choice([None, "", "  ", "555-0100", "555-0101"]),
            )
        )
    return contacts


def shared_days(rng: random.Random, today: date, days_before: int) -> list[date]:
    """Return a few days whose emails are due around today, or that are awkward."""
    due = [today + timedelta(days=days_before + rng.randint(-25, 60)) for _ in range(rng.randint(1, 3))]
    awkward = [date(2024, 2, 29), date(2024, 12, 31), date(2024, 1, 1), date(2024, today.month, 1), today]
    return due + rng.sample(awkward, rng.randint(0, 3))


def in_year(day: date, year: int) -> date:
    """Return the same day in ``year``; the 28th where there is no 29 February."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def random_birth_date(rng: random.Random, today: date, shared: list[date]) -> str | None:
    """Return a birth date, in one case of six none or one that is hard to read."""
    odd = odd_date(rng)
    if odd is not None:
        return odd[0]
    year = rng.choice([1924, 1936, 1948, today.year - 76, today.year - 77, today.year - 75, today.year - 1])
    if rng.random() < 0.6:
        day = in_year(rng.choice(shared), year)
    else:
        day = date(1930, 1, 1) + timedelta(days=rng.randint(0, 15_000))
    if rng.random() < 0.05:
        day = today + timedelta(days=rng.randint(-2, 2))
    return written(rng, day)


def random_effective_date(rng: random.Random, today: date, shared: list[date]) -> str | None:
    """Return an effective date, in one case of six none or one that is hard to read."""
    odd = odd_date(rng)
    if odd is not None:
        return odd[0]
    year = rng.choice([2016, 2019, 2020, today.year - 1, today.year, today.year + 1])
    if rng.random() < 0.7:
        day = in_year(rng.choice(shared), year)
    else:
        day = date(2012, 1, 1) + timedelta(days=rng.randint(0, 6000))
    if rng.random() < 0.03:
        day = rng.choice([date(2100, 12, 31), date(2101, 1, 1), date(2096, 2, 29), date(1900, 1, 1)])
    return written(rng, day)


def odd_date(rng: random.Random) -> tuple[str | None] | None:
    """Return, in one case of six, a date that is missing or unreadable."""
    chance = rng.random()
    if chance < 0.1:
        return (rng.choice([None, None, "", "  "]),)
    return (rng.choice(UNREADABLE_DATES),) if chance < 0.17 else None


def written(rng: random.Random, day: date) -> str:
    """Return a date as tables hold it, now and then with a time part or with white space around it."""
    text = day.isoformat()
    if rng.random() < 0.9:
        return text
    return rng.choice([f"{text}T00:00:00", f"{text} 12:30:00+00:00", f" {text} ", f"{text}T", f"\t{text}\n"])


def random_zip_code(rng: random.Random, state: str) -> tuple[str | None, str | None]:
    """Return a ZIP of a state, in any of its forms, and what stands in the column ``state``."""
    zip_code: str | None = rng.choice(zip_codes_of(state))
    stated = rng.choice(
        [
            None,
            None,
            "",
            " ",
            state,
            state,
            state.lower(),
            f" {state} ",
            "FL",
            "California",
            "new\t \u2003York",
            "Jersey",
            NAMES.get(state),
        ]
    )
    if rng.random() < 0.15:
        zip_code = rng.choice([f"{zip_code}-1234", f"{zip_code}1234", f" {zip_code} ", f"{zip_code} "])
    if rng.random() < 0.5 and zip_code.startswith("0"):
        zip_code = zip_code.strip()[:5].lstrip("0") + rng.choice(["", "", "-0123", "0123"])
    if rng.random() < 0.1:
        zip_code = rng.choice(['="{}"', "'{}", "{}.0", '  ="{}"']).format(zip_code.strip())
    if rng.random() < 0.06:
        zip_code = rng.choice(INVALID_ZIP_CODES)
    return zip_code, stated


def random_email(rng: random.Random, contact_id: int, ids: list[int]) -> str | None:
    """Return an address: one's own, now and then another contact's in other letters, or an invalid one."""
    chance = rng.random()
    if chance < 0.07:
        return rng.choice(INVALID_EMAILS)
    if chance < 0.14:
        return rng.choice(SPELLINGS)
    if chance < 0.2:
        return f"  Contact{rng.choice(ids)}@EXAMPLE.com "
    return f"contact{contact_id}@example.com"


def random_suppressed_addresses(rng: random.Random, today: date, contacts: list[Row]) -> list[Row]:
    """Return addresses that must not be written to: of contacts, in other letters too, and of nobody."""
    addresses = [row["email"] for row in contacts if row["email"] is not None and rng.random() < 0.04]
    addresses += rng.sample(SPELLINGS, rng.choice([0, 0, 0, 1, 2]))
    addresses += rng.choice([[], [], ["nobody@example.com"], ["", " "]])
    written = {rng.choice([each, each, each.upper(), f" {each} "]) for each in addresses}
    return [
        suppressed_address(
            each, random_moment(rng, today), rng.choice([None, None, None, random_moment(rng, today)])
        )
        for each in sorted(written)
    ]


def random_moment(rng: random.Random, today: date) -> str | None:
    """Return when somebody was suppressed: past, of today, to come, or without a readable date."""
    day = (today + timedelta(days=rng.choice([-300, -1, 0, 1, 1, 2, 30]))).isoformat()
    return rng.choice([day, day, f"{day}T23:59:59", f"{day} 06:00:00Z", None, "", "soon"])


def random_suppressions(rng: random.Random, today: date, contacts: list[Row]) -> list[Row]:
    """Return suppressions of some contacts: past, of today, to come, or without a readable date."""
    rows = []
    for row in contacts:
        if rng.random() < 0.08:
            day = (today + timedelta(days=rng.choice([-300, -1, 0, 1, 1, 30]))).isoformat()
            when = rng.choice([day, day, f"{day}T23:59:59", f"{day} 06:00:00Z", None, "", "soon"])
            rows.append(suppression(row["id"], when))
    if rng.random() < 0.1:
        rows.append(suppression(77, "2020-01-01"))
    return rows if len({row["contact_id"] for row in rows}) == len(rows) else []
