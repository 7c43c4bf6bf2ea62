"""Email addresses: which are valid, and which are the same (sections 1 and 4 of the planning rules)."""

import unicodedata
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning.texts import WHITESPACE, trim

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


def are_valid(addresses: pa.Array) -> pa.Array:
    """Tell which addresses are valid once they are trimmed (section 4).

    Args:
        addresses: Texts, null where there is none.

    Returns:
        A boolean for each; null where there is no address.
    """
    texts = trim(addresses)
    refused = pc.greater(pc.utf8_length(texts), LONGEST_ADDRESS)
    for pattern in (_BEGINS_WITH_APOSTROPHE, _LONG_LOCAL_PART, _LAST_LABEL_OF_DIGITS):
        refused = pc.or_(refused, pc.match_substring_regex(texts, pattern))
    # counting is slow in an expression, and few addresses are that long
    long_texts = pc.if_else(pc.greater(pc.utf8_length(texts), LONGEST_LABEL), texts, "")
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
    is_plain = pc.and_(pc.string_is_ascii(texts), pc.invert(pc.match_substring(keys, _PUNYCODE)))
    others = texts.filter(pc.invert(is_plain))
    if len(others) == 0:
        return keys
    found = pa.array([address_key(text) for text in others.to_pylist()], keys.type)
    return pc.replace_with_mask(keys, pc.fill_null(pc.invert(is_plain), False), found)


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
