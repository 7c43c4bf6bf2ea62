"""A year in which contacts are corrected, moved, reloaded and unsubscribed between plan and sending.

Somebody beside the program keeps the book: what was known when an email was claimed is all that counts.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts.rekey import rekey_contacts
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.integration.test_simulated_years import TOLERANCE_DAYS
from email_scheduler_tests.oracle.contacts import Contact, address_key, read_anchor, state_of
from email_scheduler_tests.oracle.windows import Windows
from email_scheduler_tests.reference_sender import Email, Sender
from email_scheduler_tests.simulated_organisation import ZIP_CODES

CONFIG = SchedulerConfig.model_validate(
    {
        "audit": {"enable_pit_backups": False},
        # so much is edited that a person would have to accept many of the plans
        "guard": {"max_contact_loss_share": 1, "max_email_loss_share": 1},
    }
)
FIRST = date(2026, 1, 5)
DAYS = 365
PERSONS = 60
# of a day: before it, before the first emails, and between the looks of the sender
MOMENTS = (9, 16)
COLUMNS = ("email", "zip_code", "birth_date", "effective_date")
UPSERT = (
    "INSERT INTO contacts (id, email, zip_code, birth_date, effective_date) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET email = excluded.email, zip_code = excluded.zip_code,"
    " birth_date = excluded.birth_date, effective_date = excluded.effective_date"
)
REPLACE = (
    "INSERT OR REPLACE INTO contacts (id, email, zip_code, birth_date, effective_date) VALUES (?, ?, ?, ?, ?)"
)
UPDATE = "UPDATE contacts SET email = ?2, zip_code = ?3, birth_date = ?4, effective_date = ?5 WHERE id = ?1"
INSERT = REPLACE.replace("INSERT OR REPLACE", "INSERT")


@dataclass
class Person:
    """Somebody, whatever number the contact has.

    Attributes:
        contact_id: The number that the contact has.
        values: ``COLUMNS`` of it.
        sent: Type, instance and event date of what was sent while the numbers tell who it is.
    """

    contact_id: int
    values: dict[str, str]
    sent: list[tuple[str, int, date]] = field(default_factory=list)


class Year:
    """An organisation, those who edit its contacts, and the book of what must not happen."""

    def __init__(self, database: SqliteDatabase, directory: Path, seed: int) -> None:
        self.database = database
        self.directory = directory
        self.rng = random.Random(seed)
        self.today = FIRST
        self.last_id = 0
        self.persons = [self._person() for _ in range(PERSONS)]
        self.unsubscribed_keys: set[str] = set()
        self.unsubscribed_ids: set[int] = set()
        self.follow_ups: set[int] = set()
        self.wrong: list[str] = []
        self.sent = 0
        self.edits: dict[str, int] = {}
        for person in self.persons:
            self._write(INSERT, person)
        database.run(
            """
            INSERT INTO campaign_types (name, target_all_contacts, respect_exclusion_windows, priority)
                VALUES ('season', TRUE, TRUE, 2);
            INSERT INTO campaign_instances
                (id, campaign_type, instance_name, email_template, active_start_date, active_end_date)
                VALUES (1, 'season', 'spring', 'v1', '2026-03-01', '2026-06-30'),
                       (2, 'season', 'autumn', 'v1', '2026-09-01', '2026-12-31');
            """
        )

    def live(self) -> None:
        """Let the year go by; a plan is made on about every fifth day."""
        for number in range(DAYS):
            self.today = FIRST + timedelta(days=number)
            self._edit_some(0.2)
            if number == 0 or self.rng.random() < 0.2:
                plan_and_publish(self.database.url, CONFIG, self.today)
            for hour in MOMENTS:
                self._edit_some(0.5)
                self._send_at(hour)

    def _send_at(self, hour: int) -> None:
        now = datetime(self.today.year, self.today.month, self.today.day, hour, tzinfo=TIME_ZONE)
        Sender(self.database.url, self._look_at, lambda: now).send_due_emails()

    def _look_at(self, email: Email) -> None:
        """Write down what is wrong with an email that was claimed just now."""
        self.sent += 1
        (row,) = self.database.rows("SELECT * FROM email_schedules WHERE id = ?", (email.id,))
        found = self.database.rows("SELECT * FROM contacts WHERE id = ?", (email.contact_id,))
        about = f"{self.today}: {email.email_type} {email.id} to contact {email.contact_id}"
        if len(found) != 1 or email.email != found[0]["email"].strip():
            self.wrong.append(f"{about} goes to an address that the contact does not have")
            return
        key = address_key(email.email)
        suppressed = self.database.query(
            "SELECT email FROM contacts JOIN contact_suppressions ON contact_id = contacts.id"
            " UNION SELECT address FROM suppressed_addresses"
        )
        if key in self.unsubscribed_keys | {address_key(address) for (address,) in suppressed if address}:
            self.wrong.append(f"{about} goes to an address that has unsubscribed")
        if email.contact_id in self.unsubscribed_ids:
            self.wrong.append(f"{about} goes to somebody who has unsubscribed")
        state, _ = state_of(found[0]["zip_code"], None)
        birth, effective = (
            read_anchor(found[0][name], last)
            for name, last in (("birth_date", self.today), ("effective_date", date(2100, 12, 31)))
        )
        assert state is not None
        contact = Contact(email.contact_id, state, birth[0], effective[0], birth[1], effective[1], False)
        if reason := Windows(CONFIG).reason(contact, self.today):
            self.wrong.append(f"{about} goes out in a window: {reason}")
        self._look_whether_twice(email, row, about)

    def _look_whether_twice(self, email: Email, row: dict[str, object], about: str) -> None:
        initial = row["initial_email_id"]
        if initial:
            if initial in self.follow_ups:
                self.wrong.append(f"{about} follows {initial} up for a second time")
            self.follow_ups.add(initial)  # type: ignore[arg-type]
            return
        event = date(row["event_year"], row["event_month"], row["event_day"])  # type: ignore[arg-type]
        instance = row["campaign_instance_id"] or 0
        (person,) = (each for each in self.persons if each.contact_id == email.contact_id)
        tolerance = TOLERANCE_DAYS.get(email.email_type, 100_000)
        for email_type, other, day in person.sent:
            if (email_type, other) == (email.email_type, instance) and abs((day - event).days) <= tolerance:
                self.wrong.append(f"{about} is about {event}, and one about {day} was sent before")
        person.sent.append((email.email_type, instance, event))  # type: ignore[arg-type]

    def _person(self) -> Person:
        self.last_id += 1
        values = {
            "email": f"person{self.last_id}@{self.rng.choice(['example.com', 'münchen.example'])}",
            "zip_code": self.rng.choice(ZIP_CODES),
            "birth_date": self._day(date(1935, 1, 1), 25),
            "effective_date": self._day(date(2012, 1, 1), 13),
        }
        return Person(self.last_id, values)

    def _day(self, first: date, years: int) -> str:
        return (first + timedelta(days=self.rng.randrange(365 * years))).isoformat()

    def _edit_some(self, share: float) -> None:
        kinds: list[Callable[[Person], None]] = [
            self._move,
            self._move,
            self._correct_address,
            self._respell_address,
            self._correct_date,
            self._load_again,
            self._load_everybody_again,
            self._load_under_another_id,
            self._load_under_another_id_and_say_so,
            self._unsubscribe,
            self._unsubscribe_address,
        ]
        while self.rng.random() < share:
            edit = self.rng.choice(kinds)
            edit(self._somebody())
            self.edits[edit.__name__] = self.edits.get(edit.__name__, 0) + 1

    def _somebody(self) -> Person:
        """Return somebody whose email is about to go out, if there is one: that is when edits matter most."""
        due = self.database.query(
            "SELECT contact_id FROM email_schedules"
            " WHERE status = 'pre-scheduled' AND scheduled_send_date = ?",
            (self.today.isoformat(),),
        )
        ids = {contact_id for (contact_id,) in due}
        concerned = [each for each in self.persons if each.contact_id in ids]
        return self.rng.choice(concerned or self.persons)

    def _write(self, statement: str, person: Person) -> None:
        self.database.write(statement, self._row(person))

    def _row(self, person: Person) -> tuple[object, ...]:
        return (person.contact_id, *(person.values[name] for name in COLUMNS))

    def _store(self, person: Person) -> None:
        self._write(self.rng.choice([UPDATE, UPSERT, REPLACE]), person)

    def _move(self, person: Person) -> None:
        person.values["zip_code"] = self.rng.choice(ZIP_CODES)
        self._store(person)

    def _correct_address(self, person: Person) -> None:
        own = f"person{person.contact_id}.{self.rng.randrange(1000)}@example.com"
        shared = self.rng.choice(self.persons).values["email"]
        person.values["email"] = self.rng.choice([own, own, shared])
        self._store(person)

    def _respell_address(self, person: Person) -> None:
        person.values["email"] = self._spelled(person.values["email"])
        self._store(person)

    def _spelled(self, address: str) -> str:
        spellings: list[Callable[[str], str]] = [
            str.upper,
            str.lower,
            lambda text: text.replace("ü", "u\u0308"),
            lambda text: text.replace("münchen", "xn--mnchen-3ya"),
            lambda text: text.replace("s", "\u017f"),
            lambda text: f"\u00a0{text.strip()} ",
        ]
        return self.rng.choice(spellings)(address)

    def _correct_date(self, person: Person) -> None:
        name = self.rng.choice(["birth_date", "effective_date"])
        day = date.fromisoformat(person.values[name]) + timedelta(days=self.rng.choice([-30, -1, 1, 31]))
        person.values[name] = day.isoformat()
        self._store(person)

    def _load_again(self, person: Person) -> None:
        self.database.write("DELETE FROM contacts WHERE id = ?", (person.contact_id,))
        if self.rng.random() < 0.5:
            person.values["zip_code"] = self.rng.choice(ZIP_CODES)
        self._write(self.rng.choice([INSERT, UPSERT, REPLACE]), person)

    def _load_everybody_again(self, _: Person) -> None:
        with self.database.connection() as connection:
            connection.execute("DELETE FROM contacts")
            connection.executemany(INSERT, map(self._row, self.persons))

    def _load_under_another_id(self, person: Person) -> None:
        """Load a contact again, and tell nobody: to the rules it is another person with the same address."""
        self._renumber(person)
        person.sent.clear()

    def _load_under_another_id_and_say_so(self, person: Person) -> None:
        old_id = person.contact_id
        self._renumber(person)
        file = self.directory / "ids.csv"
        file.write_text(f"old_id,new_id\n{old_id},{person.contact_id}\n")
        rekey_contacts(self.database.url, CONFIG, file, changed_by="ann")
        if old_id in self.unsubscribed_ids:
            self.unsubscribed_ids.add(person.contact_id)

    def _renumber(self, person: Person) -> None:
        self.database.write("DELETE FROM contacts WHERE id = ?", (person.contact_id,))
        self.last_id += 1
        person.contact_id = self.last_id
        if self.rng.random() < 0.5:
            person.values["zip_code"] = self.rng.choice(ZIP_CODES)
        self._write(INSERT, person)

    def _unsubscribe(self, person: Person) -> None:
        if self.rng.random() < 0.1:
            self.unsubscribed_ids.add(person.contact_id)
            self.unsubscribed_keys.add(address_key(person.values["email"]))
            self.database.write(
                "INSERT OR REPLACE INTO contact_suppressions VALUES (?, 'unsubscribed', '2025-12-01')",
                (person.contact_id,),
            )
            if self.rng.random() < 0.7:
                self._load_under_another_id(person)

    def _unsubscribe_address(self, person: Person) -> None:
        if self.rng.random() < 0.1:
            address = self._spelled(person.values["email"])
            self.unsubscribed_keys.add(address_key(address))
            self.database.write(
                "INSERT OR REPLACE INTO suppressed_addresses (address, suppressed_at)"
                " VALUES (?, '2025-12-01')",
                (address,),
            )


@pytest.mark.parametrize("seed", [20261123])
def test_nobody_is_written_to_who_must_not_be_and_nothing_goes_out_twice(
    sqlite_database: SqliteDatabase, tmp_path: Path, seed: int
) -> None:
    year = Year(sqlite_database, tmp_path, seed)
    year.live()
    assert year.wrong == []
    # it was a busy year, and of everything there was something
    assert year.sent > 150
    assert len(year.edits) == 10
    assert len(year.unsubscribed_ids) > 3
    assert year.follow_ups
