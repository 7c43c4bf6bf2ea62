"""Which column of ``contacts`` each column of a file is: by its heading, or as somebody says."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from email_scheduler.database import CONTACT_ID, EMAIL
from email_scheduler.errors import UsageError

ID: Final = "id"
# What other programs call the columns; capital letters, blanks and the like do not count.
_OTHER_NAMES: Final = {
    ID: (ID, "contact", "contactid"),
    EMAIL: ("mail", "emailaddress", "mailaddress", "emailid"),
    "first_name": ("first", "givenname", "forename", "fname"),
    "last_name": ("last", "surname", "familyname", "lname"),
    "zip_code": ("zip", "postalcode", "postcode", "zippostalcode", "mailingzip"),
    "state": ("stateprovince", "stateorprovince", "statecode"),
    "birth_date": ("dob", "birthday", "dateofbirth", "birth"),
    "effective_date": ("effective", "policyeffectivedate", "policyeffective", "policystartdate"),
    "phone_number": ("phone", "mobile", "mobilephone", "cellphone", "cell", "telephone", "phoneno"),
}
_COLUMN_OF: Final = {other: name for name, others in _OTHER_NAMES.items() for other in others}
_NEW_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Columns:
    """Where a line has what.

    Attributes:
        id_at: The place of the id; None: the file has none.
        at: The places of the other columns of ``contacts``, by their names in small letters.
        added: Those of them that the table does not have.
        ignored: Headings of columns that are passed over.
    """

    id_at: int | None
    at: Mapping[str, int]
    added: tuple[str, ...]
    ignored: tuple[str, ...]


def parse_mapping(texts: Collection[str]) -> dict[str, str]:
    """Return what the headings of a file mean: ``Email Address=email``; nothing behind ``=``: nothing.

    Raises:
        UsageError: One has no ``=``, or a heading stands twice.
    """
    mapping: dict[str, str] = {}
    for text in texts:
        heading, separator, column = text.rpartition("=")
        name = heading.strip().lower()
        if not separator or not name:
            raise UsageError(f"--map {text!r}; accepted is HEADING=COLUMN, such as 'Email Address=email'")
        if name in mapping:
            raise UsageError(f"--map {text!r}: the heading stands twice; accepted is once")
        mapping[name] = column.strip().lower()
    return mapping


def read_columns(
    heading: Sequence[str],
    where: str,
    known: Collection[str],
    mapping: Mapping[str, str],
    *,
    add_columns: bool = False,
) -> Columns:
    """Return where a line has what.

    Args:
        heading: Of the file, in small letters.
        where: What the place of the heading is called in messages.
        known: The columns of ``contacts``, in small letters.
        mapping: What headings mean (``parse_mapping``), whatever they look like.
        add_columns: Whether other columns are taken, too.

    Raises:
        UsageError: It does not say who is meant, two columns are the same, or the mapping does not fit.
    """
    for name in mapping:
        if name not in heading:
            raise UsageError(f"--map {name!r}: no column has this heading; accepted is one that the file has")
    at: dict[str, int] = {}
    added, ignored = [], []
    for place, name in enumerate(heading):
        column = mapping[name] if name in mapping else _recognised(name, known)
        if not column and name not in mapping and add_columns:
            column = _new_name(name, place, where)
        if not column:
            ignored.append(name)
            continue
        if column in at:
            raise UsageError(
                f"{where}: columns {at[column] + 1} and {place + 1} are both {column}; accepted is one of"
                " them: --map 'HEADING=' passes one over"
            )
        at[column] = place
        if column != ID and column not in known:
            if not add_columns:
                raise UsageError(
                    f"--map {name!r}: contacts have no column {column}; accepted is one of"
                    f" {', '.join(sorted(known))}, or another one with --add-columns"
                )
            added.append(_new_name(column, place, where))
    if ID not in at and EMAIL not in at:
        raise UsageError(
            f"{where}: none of the {len(heading)} columns is {ID} or {EMAIL}; accepted is a heading that"
            " names one of them, and others of contacts; --map HEADING=COLUMN says what a column is"
        )
    return Columns(at.pop(ID, None), at, tuple(added), tuple(ignored))


def _recognised(heading: str, known: Collection[str]) -> str:
    """Return the column of ``contacts`` that a heading means; blank: none is known."""
    letters = plain(heading)
    found = next((name for name in known if plain(name) == letters), "")
    # whatever an agency has added: in files, contact_id is the id
    return _COLUMN_OF.get(letters, "") if not found or heading == CONTACT_ID else found


def plain(name: str) -> str:
    """Return what counts of a heading: letters and digits."""
    return "".join(filter(str.isalnum, name.lower()))


def _new_name(heading: str, place: int, where: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", heading).strip("_")
    if _NEW_NAME.fullmatch(name) is None:
        raise UsageError(
            f"{where}: column {place + 1}: its heading is no name for a column of contacts; accepted are"
            " at most 63 letters from a to z, digits and _, not a digit first; --map HEADING=COLUMN says one"
        )
    return name
