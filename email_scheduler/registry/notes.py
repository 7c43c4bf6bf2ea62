"""Notes about data: what makes no contact invalid, and that somebody should look at, word by word."""

from dataclasses import dataclass
from typing import Final

from email_scheduler.registry.reasons import Word

# A date that more of the contacts have than this, and at least so many of them, may stand for an unknown one.
SHARED_DATE_PERCENT: Final = 2
SHARED_DATE_LEAST_CONTACTS: Final = 20
# More contacts than this at one address are worth a look.
CONTACTS_OF_ONE_ADDRESS: Final = 5
# What more of the contacts lack than this, nearly everybody lacks.
MISSING_PERCENT: Final = 50
# A campaign that began longer ago than this should have been sent to somebody.
LONG_BEGUN_DAYS: Final = 30
# What programs and people write into a column of dates where there is none, in small letters.
PLACEHOLDER_TEXTS: Final = (
    *("null", "(null)", "<null>", "\\n", "nil", "none", "nan", "nat", "na", "n/a", "n.a.", "#n/a", "#na"),
    *("#value!", "#ref!", "#name?", "#null!", "#num!", "#div/0!", "undefined", "unknown", "unk", "missing"),
    *("not available", "not applicable", "not known", "empty", "blank", "tbd", "tba", "-", "--", "---"),
    *("?", ".", "x", "0", "00/00/0000", "0/0/0000", "0000-00-00", "00000000"),
)


@dataclass(frozen=True)
class Note(Word):
    """Something about the data of an organisation that makes no contact invalid.

    Attributes:
        found: What was found, in a sentence, to be formatted: ``note`` has the counts.
        what_helps: What to do about it.
    """

    found: str
    what_helps: str


SHARED_BIRTH_DATES: Final = "shared_birth_dates"
SHARED_EFFECTIVE_DATES: Final = "shared_effective_dates"
SHARED_ADDRESSES: Final = "shared_addresses"
MISSING_BIRTH_DATES: Final = "missing_birth_dates"
MISSING_EFFECTIVE_DATES: Final = "missing_effective_dates"
MISSING_ZIP_CODES: Final = "missing_zip_codes"
PLACEHOLDERS_IN_DATES: Final = "placeholders_in_dates"
CAMPAIGNS_LONG_BEGUN: Final = "campaigns_long_begun"
SENT_TIMES_IN_UTC: Final = "sent_times_in_utc"
SUPPRESSIONS_WITHOUT_CONTACT: Final = "suppressions_without_contact"
SENDER_ROWS_WITHOUT_CONTACT: Final = "sender_rows_without_contact"

_MANY: Final = f"more than {SHARED_DATE_PERCENT} % of the contacts, and at least {SHARED_DATE_LEAST_CONTACTS}"
_SHARED: Final = "{note.things:,}, of {note.count:,} of {note.out_of:,} contacts"

NOTES: Final = {
    note.name: note
    for note in (
        Note(
            SHARED_BIRTH_DATES,
            f"There are birth dates that {_MANY}, share each.",
            4,
            f"birth dates that many contacts share: {_SHARED}",
            "Such a date may stand for one that nobody knows, as 1900-01-01 does: emails and windows depend"
            " on it all the same. Correct these dates, or empty them.",
        ),
        Note(
            SHARED_EFFECTIVE_DATES,
            f"There are effective dates that {_MANY}, share each.",
            4,
            f"effective dates that many contacts share: {_SHARED}",
            "Such a date may stand for one that nobody knows, or be the day on which many policies began. In"
            " the first case correct these dates, or empty them.",
        ),
        Note(
            SHARED_ADDRESSES,
            f"There are addresses that more than {CONTACTS_OF_ONE_ADDRESS} contacts have.",
            4,
            f"addresses that more than {CONTACTS_OF_ONE_ADDRESS} contacts have: {_SHARED}",
            "Whoever reads there gets the emails of all of them: an address of the office does not belong to"
            " its customers. Correct them; with contacts.max_per_address such contacts are not written to.",
        ),
        Note(
            MISSING_BIRTH_DATES,
            f"More than {MISSING_PERCENT} % of the contacts have no birth date that can be read.",
            6,
            "contacts without a birth date that can be read: {note.count:,} of {note.out_of:,}",
            "They get no birthday emails. See whether the column was loaded, and under which name.",
        ),
        Note(
            MISSING_EFFECTIVE_DATES,
            f"More than {MISSING_PERCENT} % of the contacts have no effective date that can be read.",
            6,
            "contacts without an effective date that can be read: {note.count:,} of {note.out_of:,}",
            "They get no effective-date emails. See whether the column was loaded, and under which name.",
        ),
        Note(
            MISSING_ZIP_CODES,
            f"More than {MISSING_PERCENT} % of the contacts have no ZIP code.",
            4,
            "contacts without a ZIP code: {note.count:,} of {note.out_of:,}",
            "They get no emails at all. See whether the column was loaded, and under which name.",
        ),
        Note(
            PLACEHOLDERS_IN_DATES,
            "Columns of dates hold texts that stand for no date, such as NULL.",
            4,
            "texts that stand for no date: {note.count:,} ({note.details})",
            "Such a date is unreadable, not missing: where a window depends on it, nothing is sent. Empty"
            " these cells.",
        ),
        Note(
            CAMPAIGNS_LONG_BEGUN,
            f"Campaigns for everybody that began more than {LONG_BEGUN_DAYS} days ago take contacts for the"
            " first time.",
            8,
            f"campaigns for everybody that began more than {LONG_BEGUN_DAYS} days ago and of which nothing"
            " was ever sent: {note.things:,}, planned emails: {note.count:,} (of instance {note.details})",
            "If another program has sent them, import its history, or set go_live_date. If nobody wants them"
            " any more, end them.",
        ),
        Note(
            SENT_TIMES_IN_UTC,
            "Times of the sending system are in UTC: their day may be another one in US Central time.",
            1,
            "times of the sending system that are in UTC: {note.count:,} of {note.out_of:,} rows",
            "Of such a time the day counts that it names, which is that of tomorrow every evening. Have"
            " actual_send_datetime written in US Central time.",
        ),
        Note(
            SUPPRESSIONS_WITHOUT_CONTACT,
            "Suppressions name contacts that do not exist.",
            4,
            "suppressions that name no contact: {note.count:,} of {note.out_of:,}",
            "Their people may have been loaded again under other ids: carry the ids over with contacts rekey,"
            " and see that their addresses are suppressed.",
        ),
        Note(
            SENDER_ROWS_WITHOUT_CONTACT,
            "Rows of the sending system are about contacts that do not exist.",
            1,
            "rows of the sending system that name no contact: {note.count:,} of {note.out_of:,}, of"
            " {note.things:,} contacts",
            "Their people may have been loaded again under other ids, and get again what was sent to them:"
            " carry the ids over with contacts rekey.",
        ),
    )
}
