"""What makes a contact valid, and what is known of it: also its state, by ZIP (section 4 of the rules)."""

import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning.columns import (
    WHITESPACE,
    Flags,
    codes_and_texts,
    date_parts,
    parse_dates,
    to_arrow,
    to_day,
    to_flags,
    trim,
)
from email_scheduler.planning.frames import (
    CONTACT_ADDRESS_KEYS,
    CONTACT_ISSUES,
    CONTACTS,
    CONTACTS_TABLE,
    NO_CONTACT,
    NO_DATE,
    PlanInputs,
)
from email_scheduler.registry import INVALIDATING_ISSUES, ISSUES
from email_scheduler.registry.zip_codes import ZIP_CODES

# The states, territories and military regions that ZIPs lie in.
# fmt: off
STATES: Final = (
    "AA", "AE", "AK", "AL", "AP", "AR", "AS", "AZ", "CA", "CO", "CT", "DC",
    "DE", "FL", "FM", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS", "KY",
    "LA", "MA", "MD", "ME", "MH", "MI", "MN", "MO", "MP", "MS", "MT", "NC",
    "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "PR",
    "PW", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI",
    "WV", "WY",
)
_NAMES: Final = {
    "AL": "Alabama", "AK": "Alaska", "AS": "American Samoa", "AZ": "Arizona", "AR": "Arkansas",
    "CA": "California", "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia",
    "FL": "Florida", "GA": "Georgia", "GU": "Guam", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "MP": "Northern Mariana Islands", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania",
    "PR": "Puerto Rico", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VI": "Virgin Islands",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}
# fmt: on
# The position in STATES of what may stand for a state, in capital letters: its two letters, or its name.
STATES_AS_WRITTEN: Final = {state: code for code, state in enumerate(STATES)} | {
    name.upper(): STATES.index(state) for state, name in _NAMES.items()
}
STATE_DTYPE: Final = pd.CategoricalDtype(pd.Index(STATES, dtype="str"))
LONGEST_ADDRESS: Final = 254
LONGEST_LOCAL_PART: Final = 64
LONGEST_LABEL: Final = 63
_PUNYCODE: Final = "xn--"
# Letters, numbers and marks of all scripts; those of ASCII are among them.
_LETTERS: Final = r"\p{L}\p{N}\p{M}"
_ATOM: Final = f"[{_LETTERS}!#$%&'*+/=?^_`{{|}}~-]+"
_LABEL: Final = f"[{_LETTERS}](?:[{_LETTERS}-]*[{_LETTERS}])?"
_FORM: Final = rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+\z"
_BEGINS_WITH_APOSTROPHE: Final = "^'"
_LONG_LOCAL_PART: Final = f"^[^@]{{{LONGEST_LOCAL_PART + 1}}}"
_LAST_LABEL_OF_DIGITS: Final = r"\.[0-9]+\z"
_LONG_LABEL: Final = rf"[@.][^@.]{{{LONGEST_LABEL + 1}}}[^@]*\z"
FIRST_DATE: Final = date(1900, 1, 1)
LAST_EFFECTIVE_DATE: Final = date(2100, 12, 31)
_FIELDS: Final = list(dict.fromkeys(issue.field for issue in ISSUES.values()))
_FIELD_DTYPE: Final = pd.CategoricalDtype(pd.Index(_FIELDS, dtype="str"))
_ISSUE_DTYPE: Final = pd.CategoricalDtype(pd.Index(list(ISSUES), dtype="str"))
# What spreadsheets put around a ZIP: ="02134", '02134, and 2134.0 in a column of numbers.
_SPREADSHEET: Final = (('^="(.*)"\\z', r"\1"), ("^'", ""), (r"^([0-9]+)\.0\z", r"\1"))
_WHOLE_ZIP: Final = r"^[0-9]{5}(-[0-9]{4}|[0-9]{4})?\z"
# Without its leading zeros: three or four digits, or eight of nine.
_LAST_ZIP: Final = 99_999
_TRUNCATED_ZIP: Final = r"^([0-9]{3,4}(-[0-9]{4})?|[0-9]{8})\z"
_WHITE_SPACE: Final = "[{}]+".format("".join(f"\\x{{{ord(each):x}}}" for each in WHITESPACE))
_NO_STATE: Final = -1
_BLANK_STATE: Final = -2
_OTHER_STATE: Final = -3


@cache
def state_codes_by_zip() -> npt.NDArray[np.int8]:
    """Return the position in ``STATES`` for each ZIP from 00000 to 99999, -1 where no such ZIP exists."""
    codes = np.full(100_000, -1, np.int8)
    code_of_state = {state: code for code, state in enumerate(STATES)}
    for line in ZIP_CODES.splitlines():
        prefix, state, *ranges = line.split()
        of_prefix = codes[100 * int(prefix) :]
        for each in ranges:
            of_prefix[int(each[:2]) : int(each[-2:]) + 1] = code_of_state[state]
    return codes


def are_valid(addresses: pa.Array) -> pa.Array:
    """Tell which addresses are valid once they are trimmed (section 4).

    Args:
        addresses: Texts, null where there is none.

    Returns:
        A boolean for each; null where there is no address.
    """
    texts = trim(addresses)
    lengths = pc.utf8_length(texts)
    refused = pc.greater(lengths, LONGEST_ADDRESS)
    for pattern in (_BEGINS_WITH_APOSTROPHE, _LONG_LOCAL_PART, _LAST_LABEL_OF_DIGITS):
        refused = pc.or_(refused, pc.match_substring_regex(texts, pattern))
    # counting is slow in an expression, and few addresses are that long
    long_texts = pc.if_else(pc.greater(lengths, LONGEST_LABEL), texts, "")
    refused = pc.or_(refused, pc.match_substring_regex(long_texts, _LONG_LABEL))
    return pc.and_not(pc.match_substring_regex(texts, _FORM), refused)


def address_keys(addresses: pa.Array) -> pa.Array:
    """Return the keys of addresses: two addresses are the same if their keys are (section 1).

    Args:
        addresses: Texts, null where there is none.

    Returns:
        Texts; null where there is no address.
    """
    texts = trim(addresses)
    keys = pc.ascii_lower(texts)
    # what is plain ASCII has its key in small letters; the others are few, and looked at one by one
    is_plain = _are_plain(texts, keys)
    others = texts.filter(pc.invert(is_plain))
    if len(others) == 0:
        return keys
    found = pa.array([address_key(text) for text in others.to_pylist()], keys.type)
    return pc.replace_with_mask(keys, pc.fill_null(pc.invert(is_plain), False), found)


def _are_plain(texts: pa.Array, small_letters: pa.Array) -> pa.Array:
    return pc.and_(pc.string_is_ascii(texts), pc.invert(pc.match_substring(small_letters, _PUNYCODE)))


def contact_address_keys(contacts: pd.DataFrame) -> pd.DataFrame:
    """Return the keys of the addresses that are not plain: SQL cannot compute them.

    Args:
        contacts: ``CONTACTS_TABLE``.

    Returns:
        ``CONTACT_ADDRESS_KEYS``, in the order of the contacts.
    """
    email = to_arrow(contacts["email"])
    is_plain = _are_plain(email, pc.ascii_lower(email))
    is_odd = to_flags(pc.invert(pc.fill_null(is_plain, True))) & (contacts["id"].to_numpy() != NO_CONTACT)
    odd = email.filter(pa.array(is_odd))
    return CONTACT_ADDRESS_KEYS.build(
        {
            "contact_id": contacts["id"].to_numpy()[is_odd],
            "email": pd.Series(odd.to_pylist(), dtype="str"),
            "address_key": pd.Series(address_keys(odd).to_pylist(), dtype="str"),
        }
    )


def address_key(address: str) -> str:
    """Return the key of one address: trimmed, NFKC, case-folded, with the labels of its domain decoded.

    The key of a key is the key itself: the steps are repeated until nothing changes.
    """
    key, before = _step(address), address
    while key != before:
        key, before = _step(key), key
    return key


def _step(text: str) -> str:
    local_part, at, domain = _folded(text.strip(WHITESPACE)).rpartition("@")
    if not at or _PUNYCODE not in domain:
        return local_part + at + domain
    return local_part + at + ".".join(map(_decoded, domain.split(".")))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _decoded(label: str) -> str:
    """Return what a label of a domain stands for; the label itself where it cannot be decoded."""
    if not label.startswith(_PUNYCODE):
        return label
    try:
        decoded = _folded(label.removeprefix(_PUNYCODE).encode("ascii").decode("punycode"))
        # a lone surrogate is no text
        decoded.encode()
    except UnicodeError:
        return label
    return decoded


def issues(found: Mapping[str, npt.NDArray[np.int64]]) -> pd.DataFrame:
    """Return ``CONTACT_ISSUES`` of the contacts found for each kind of issue, a row for each."""
    names = list(ISSUES)
    codes = np.repeat([names.index(name) for name in found], [len(ids) for ids in found.values()])
    fields = [_FIELDS.index(issue.field) for issue in ISSUES.values()]
    return CONTACT_ISSUES.build(
        {
            "contact_id": np.concatenate(list(found.values())),
            "field": pd.Categorical.from_codes(np.array(fields)[codes], dtype=_FIELD_DTYPE),
            "issue": pd.Categorical.from_codes(codes, dtype=_ISSUE_DTYPE),
        }
    )


def validate_contacts(inputs: PlanInputs, config: SchedulerConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tell the valid contacts from the others and read what planning needs of them (section 4).

    Args:
        inputs: Of the whole organisation, since a suppression holds for every contact with the same address.
        config: Its configuration.

    Returns:
        ``CONTACTS`` (one row a valid contact, in the order of their ids) and ``CONTACT_ISSUES`` (one row
        for each invalid contact, and one for each unreadable date or differing state of a valid one).

    Raises:
        InputDataError: Two contacts have the same id.
    """
    table, as_of = inputs.contacts.sort_values("id", ignore_index=True), inputs.as_of
    ids = table["id"].to_numpy()
    has_no_id = ids == NO_CONTACT
    CONTACTS_TABLE.check_key(table[~has_no_id] if has_no_id.any() else table)
    email = to_arrow(table["email"])
    address = address_keys(email)
    state, is_missing_zip, is_mismatch = _state_codes(table["zip_code"], table["state"])
    is_missing_email = to_flags(pc.fill_null(pc.equal(address, ""), True))
    reasons = np.select(
        [
            has_no_id,
            is_missing_email,
            ~to_flags(pc.fill_null(are_valid(email), False)),
            is_missing_zip,
            state == _NO_STATE,
            _is_suppressed(ids, address, inputs),
            _is_shared(address, config.contacts.max_per_address),
        ],
        range(len(INVALIDATING_ISSUES)),
        -1,
    )
    is_valid = reasons < 0
    birth_date, is_birth_date_unreadable = parse_dates(table["birth_date"], first=FIRST_DATE, last=as_of)
    effective_date, is_effective_date_unreadable = parse_dates(
        table["effective_date"], first=FIRST_DATE, last=LAST_EFFECTIVE_DATE
    )
    contacts = CONTACTS.build(
        {
            "contact_id": ids[is_valid],
            "state": pd.Categorical.from_codes(state[is_valid], dtype=STATE_DTYPE),
            "birth_date": birth_date[is_valid],
            "effective_date": effective_date[is_valid],
            "is_birth_date_unreadable": is_birth_date_unreadable[is_valid],
            "is_effective_date_unreadable": is_effective_date_unreadable[is_valid],
            "has_phone": ~_is_blank(table["phone_number"])[is_valid],
        }
    )
    found = {issue: ids[reasons == code] for code, issue in enumerate(INVALIDATING_ISSUES)}
    found["state_mismatch"] = ids[is_valid & is_mismatch]
    found["invalid_birth_date"] = ids[is_valid & is_birth_date_unreadable]
    found["invalid_effective_date"] = ids[is_valid & is_effective_date_unreadable]
    return contacts, issues(found)


def states_of(zip_codes: pd.Series, states: pd.Series) -> pd.Categorical:
    """Return the state that each ZIP lies in, whoever has it; missing where it lies in none (section 4).

    Args:
        zip_codes: The column ``zip_code``.
        states: The column ``state``, which may contradict a ZIP that has lost its first digits.
    """
    codes, _, _ = _state_codes(zip_codes, states)
    return pd.Categorical.from_codes(codes, dtype=STATE_DTYPE)


def _state_codes(zip_codes: pd.Series, states: pd.Series) -> tuple[npt.NDArray[np.int8], Flags, Flags]:
    """Return each contact's state code (-1: invalid ZIP), whether its ZIP is missing, and mismatches."""
    zip_codes_of_row, is_truncated, zip_text_codes, is_blank = _read_zip_codes(zip_codes)
    is_missing = (zip_text_codes < 0) | is_blank
    by_zip = np.append(state_codes_by_zip(), np.int8(_NO_STATE))
    state = by_zip[zip_codes_of_row]
    column = _state_column(states)
    is_contradicted = is_truncated & (column != _BLANK_STATE) & (column != state)
    state = np.where(is_contradicted, _NO_STATE, state).astype(np.int8)
    is_mismatch = ~is_truncated & (state != _NO_STATE) & (column != _BLANK_STATE) & (column != state)
    return state, is_missing, is_mismatch


def _read_zip_codes(texts: pd.Series) -> tuple[npt.NDArray[np.int64], Flags, npt.NDArray[np.int64], Flags]:
    codes, uniques = codes_and_texts(texts)
    trimmed = trim(uniques)
    text = trimmed
    for wrapping, content in _SPREADSHEET:
        text = pc.replace_substring_regex(text, wrapping, content)
    is_whole = to_flags(pc.match_substring_regex(text, _WHOLE_ZIP))
    is_truncated = to_flags(pc.match_substring_regex(text, _TRUNCATED_ZIP))
    is_zip = is_whole | is_truncated
    digits = pc.replace_substring_regex(pc.if_else(pa.array(is_zip), text, "0"), "-[0-9]{4}$", "")
    numbers = pc.cast(digits, pa.int64()).to_numpy(zero_copy_only=False)
    # eight or nine digits are a ZIP and four more
    numbers = np.where(is_zip, np.where(numbers > _LAST_ZIP, numbers // 10_000, numbers), -1)
    return (
        np.append(numbers, -1)[codes],
        np.append(is_truncated, False)[codes],
        codes,
        np.append(to_flags(pc.equal(trimmed, "")), False)[codes],
    )


def _state_column(texts: pd.Series) -> npt.NDArray[np.int16]:
    codes, uniques = codes_and_texts(texts)
    words = pc.replace_substring_regex(trim(uniques), _WHITE_SPACE, " ")
    position = pc.index_in(pc.utf8_upper(words), pa.array(list(STATES_AS_WRITTEN), pa.large_string()))
    state = pc.take(pa.array(list(STATES_AS_WRITTEN.values()), pa.int64()), position)
    values = pc.if_else(pc.equal(words, ""), _BLANK_STATE, pc.fill_null(state, _OTHER_STATE)).to_numpy(
        zero_copy_only=False
    )
    return np.append(values.astype(np.int16), np.int16(_BLANK_STATE))[codes]


def _is_suppressed(ids: npt.NDArray[np.int64], address: pa.Array, inputs: PlanInputs) -> Flags:
    suppressions, listed = inputs.suppressions, inputs.suppressed_addresses
    in_force = suppressions["contact_id"].to_numpy()[_is_in_force(suppressions, inputs.as_of)]
    is_named = np.isin(ids, in_force)
    until = date_parts(listed["suppressed_until"])
    is_listed = _is_in_force(listed, inputs.as_of) & ((until == NO_DATE) | (until >= to_day(inputs.as_of)))
    keys = address_keys(to_arrow(listed["address"][is_listed]))
    addresses = pa.chunked_array([address.filter(pa.array(is_named)), keys], keys.type).combine_chunks()
    addresses = pc.unique(pc.drop_null(addresses))
    return is_named | to_flags(pc.fill_null(pc.is_in(address, addresses), False))


def _is_in_force(suppressions: pd.DataFrame, as_of: date) -> Flags:
    dated = date_parts(suppressions["suppressed_at"])
    # a time written in UTC is a day ahead of Central every evening; when in doubt, nothing is sent
    in_force: Flags = (dated == NO_DATE) | (dated <= to_day(as_of) + 1)
    return in_force


def _is_shared(address: pa.Array, most: int | None) -> Flags:
    """Tell which contacts have an address that more than ``most`` of the table have; None: any number may."""
    if most is None:
        return np.zeros(len(address), np.bool_)
    counts = pc.value_counts(pc.drop_null(address))
    shared = counts.field("values").filter(pc.greater(counts.field("counts"), most))
    return to_flags(pc.fill_null(pc.is_in(address, shared), False))


def _is_blank(texts: pd.Series) -> Flags:
    codes, uniques = codes_and_texts(texts)
    return np.append(to_flags(pc.equal(trim(uniques), "")), True)[codes]
