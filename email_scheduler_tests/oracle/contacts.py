"""Section 4 of the planning rules: which contacts are valid, and what of them can be read."""

import functools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import zipcodes

from email_scheduler.planning.frames import NO_CONTACT
from email_scheduler_tests.oracle.book import Book
from email_scheduler_tests.oracle.words import date_part, is_blank, read_date

Issue = tuple[int, str, str]
# fmt: off
LETTERS_OF_STATES = {
    "ALABAMA": "AL", "ALASKA": "AK", "AMERICAN SAMOA": "AS", "ARIZONA": "AZ", "ARKANSAS": "AR",
    "CALIFORNIA": "CA", "COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE", "DISTRICT OF COLUMBIA": "DC",
    "FLORIDA": "FL", "GEORGIA": "GA", "GUAM": "GU", "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL",
    "INDIANA": "IN", "IOWA": "IA", "KANSAS": "KS", "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME",
    "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI", "MINNESOTA": "MN", "MISSISSIPPI": "MS",
    "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE", "NEVADA": "NV", "NEW HAMPSHIRE": "NH",
    "NEW JERSEY": "NJ", "NEW MEXICO": "NM", "NEW YORK": "NY", "NORTH CAROLINA": "NC", "NORTH DAKOTA": "ND",
    "NORTHERN MARIANA ISLANDS": "MP", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR", "PENNSYLVANIA": "PA",
    "PUERTO RICO": "PR", "RHODE ISLAND": "RI", "SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD",
    "TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT", "VERMONT": "VT", "VIRGIN ISLANDS": "VI",
    "VIRGINIA": "VA", "WASHINGTON": "WA", "WEST VIRGINIA": "WV", "WISCONSIN": "WI", "WYOMING": "WY",
}
# fmt: on


@dataclass(frozen=True)
class Contact:
    """A valid contact."""

    id: int
    state: str
    birth_date: date | None
    effective_date: date | None
    is_birth_date_unreadable: bool
    is_effective_date_unreadable: bool
    has_phone: bool


@functools.cache
def states_of_zip_codes() -> dict[str, str]:
    """Return the state of every ZIP that exists, or existed."""
    return {entry["zip_code"]: entry["state"] for entry in zipcodes.list_all()}


def state_of(zip_code: str, state_column: str | None) -> tuple[str | None, bool]:
    """Section 4: the state that a ZIP decides (``None``: invalid), and whether the ZIP is a whole one."""
    zip_code = unwrapped(zip_code.strip())
    stated = None if is_blank(state_column) else stated_state(state_column)
    if re.fullmatch(r"[0-9]{5}|[0-9]{5}-[0-9]{4}|[0-9]{9}", zip_code):
        return states_of_zip_codes().get(zip_code[:5]), True
    if re.fullmatch(r"[0-9]{3,4}(-[0-9]{4})?|[0-9]{8}", zip_code):
        digits = zip_code.split("-")[0][:4]
        state = states_of_zip_codes().get("0" * (5 - len(digits)) + digits)
        if stated is None or stated == state:
            return state, False
    return None, False


def unwrapped(zip_code: str) -> str:
    """Section 4: the ZIP without what spreadsheets put around it."""
    if len(zip_code) >= 3 and zip_code.startswith('="') and zip_code.endswith('"'):
        zip_code = zip_code[2:-1]
    zip_code = zip_code.removeprefix("'")
    without_fraction = zip_code.removesuffix(".0")
    return without_fraction if re.fullmatch(r"[0-9]+", without_fraction) else zip_code


def stated_state(text: str) -> str:
    """Section 4: the letters of the state that the column names, or what stands there."""
    words = " ".join(text.split()).upper()
    return LETTERS_OF_STATES.get(words, words)


def address_key(text: str) -> str:
    """Section 1: what two spellings of one address have in common."""
    before = None
    while text != before:
        before = text
        text = unicodedata.normalize("NFKC", text.strip()).casefold()
        local, at, domain = text.rpartition("@")
        if at:
            text = local + at + ".".join(decoded_label(label) for label in domain.split("."))
    return text


def decoded_label(label: str) -> str:
    """Section 1: a label of a domain, decoded if it is punycode."""
    if not label.startswith("xn--"):
        return label
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        decoded.encode("utf-8")
    except UnicodeError:
        return label
    return unicodedata.normalize("NFKC", decoded).casefold()


def is_valid_address(address: str) -> bool:
    """Section 4, for a trimmed address: one character after the other."""
    if len(address) > 254 or address.count("@") != 1:
        return False
    local, domain = address.split("@")
    if len(local) > 64 or local.startswith("'"):
        return False
    for atom in local.split("."):
        if not atom or not all(is_letter(each) or each in "!#$%&'*+/=?^_`{|}~-" for each in atom):
            return False
    labels = domain.split(".")
    for label in labels:
        if not 1 <= len(label) <= 63 or label[0] == "-" or label[-1] == "-":
            return False
        if not all(is_letter(each) or each == "-" for each in label):
            return False
    return len(labels) > 1 and re.fullmatch("[0-9]+", labels[-1]) is None


def is_letter(character: str) -> bool:
    """Section 4: an ASCII letter or digit, or a letter, number or mark beyond ASCII."""
    if character.isascii():
        return character.isalnum()
    return unicodedata.category(character)[0] in "LNM"


def is_in_force(suppressed_at: str | None, book: Book) -> bool:
    """Section 4: dated ``D + 1`` or earlier, or without a readable date."""
    suppressed_on = date_part(suppressed_at)
    return suppressed_on is None or suppressed_on <= book.today + timedelta(days=1)


def suppressed_addresses(book: Book) -> set[str]:
    """Section 4: the addresses of contacts that are suppressed, and those that are suppressed themselves."""
    suppressed_ids = {
        row["contact_id"] for row in book.suppressions if is_in_force(row["suppressed_at"], book)
    }
    addresses = [row["email"] for row in book.contact_rows if row["id"] in suppressed_ids]
    for row in book.suppressed_addresses:
        last = date_part(row["suppressed_until"])
        if is_in_force(row["suppressed_at"], book) and (last is None or last >= book.today):
            addresses.append(row["address"])
    return {address_key(each) for each in addresses if not is_blank(each)}


def shared_addresses(book: Book) -> set[str]:
    """Section 4: addresses that more contacts of the table have than ``contacts.max_per_address``."""
    most = book.config.contacts.max_per_address
    counts = Counter(address_key(row["email"]) for row in book.contact_rows if not is_blank(row["email"]))
    return set() if most is None else {address for address, count in counts.items() if count > most}


def what_makes_invalid(
    row: dict[str, object], suppressed: set[str], shared: set[str]
) -> tuple[str, str] | None:
    """Section 4: the field and the issue, the first that applies."""
    if row["id"] == NO_CONTACT:
        return "id", "invalid_id"
    if is_blank(row["email"]):
        return "email", "missing_email"
    if not is_valid_address(row["email"].strip()):
        return "email", "invalid_email"
    if is_blank(row["zip_code"]):
        return "zip_code", "missing_zip_code"
    if state_of(row["zip_code"], row["state"])[0] is None:
        return "zip_code", "invalid_zip_code"
    # a contact with a suppression has its own address among those of suppressed contacts
    if address_key(row["email"]) in suppressed:
        return "contact_id", "suppressed"
    if address_key(row["email"]) in shared:
        return "email", "shared_address"
    return None


def read_anchor(text: str | None, last: date) -> tuple[date | None, bool]:
    """Section 4: a birth or effective date from 1900-01-01 to ``last``, and whether it is unreadable."""
    if is_blank(text):
        return None, False
    day = read_date(text)
    if day is None or day < date(1900, 1, 1) or day > last:
        return None, True
    return day, False


def read_contacts(book: Book) -> tuple[list[Contact], list[Issue]]:
    """Section 4: the valid contacts, and everything that is recorded about contacts."""
    suppressed, shared = suppressed_addresses(book), shared_addresses(book)
    contacts: list[Contact] = []
    issues: list[Issue] = []
    for row in book.contact_rows:
        problem = what_makes_invalid(row, suppressed, shared)
        if problem is not None:
            issues.append((row["id"], *problem))
            continue
        state, is_whole = state_of(row["zip_code"], row["state"])
        if is_whole and not is_blank(row["state"]) and stated_state(row["state"]) != state:
            issues.append((row["id"], "state", "state_mismatch"))
        birth_date, is_birth_date_unreadable = read_anchor(row["birth_date"], book.today)
        if is_birth_date_unreadable:
            issues.append((row["id"], "birth_date", "invalid_birth_date"))
        effective_date, is_effective_date_unreadable = read_anchor(row["effective_date"], date(2100, 12, 31))
        if is_effective_date_unreadable:
            issues.append((row["id"], "effective_date", "invalid_effective_date"))
        contacts.append(
            Contact(
                id=row["id"],
                state=state,
                birth_date=birth_date,
                effective_date=effective_date,
                is_birth_date_unreadable=is_birth_date_unreadable,
                is_effective_date_unreadable=is_effective_date_unreadable,
                has_phone=not is_blank(row["phone_number"]),
            )
        )
    return contacts, issues
