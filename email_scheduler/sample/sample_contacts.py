"""The contacts of a sample organisation: made up, but with everything that real ones have.

States weigh as the population on Medicare does, ZIPs exist, effective dates cluster on the first of the
month, and a known share of the rows has something wrong with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning import STATES, Anchors, Days, anniversaries, state_codes_by_zip, to_day

Ids = npt.NDArray[np.int64]

# People on Medicare by state, in thousands, rounded; what matters is that every state has its part.
_PEOPLE: Final = {
    "AA": 1, "AE": 2, "AK": 113, "AL": 1090, "AP": 1, "AR": 670, "AS": 4, "AZ": 1450, "CA": 6700, "CO": 990,
    "CT": 720, "DC": 93, "DE": 235, "FL": 4950, "GA": 1870, "GU": 18, "HI": 295, "IA": 665, "ID": 380,
    "IL": 2350, "IN": 1340, "KS": 570, "KY": 970, "LA": 920, "MA": 1410, "MD": 1110, "ME": 365, "MI": 2190,
    "MN": 1100, "MO": 1290, "MP": 2, "MS": 630, "MT": 250, "NC": 2150, "ND": 140, "NE": 370, "NH": 325,
    "NJ": 1700, "NM": 450, "NV": 590, "NY": 3800, "OH": 2470, "OK": 780, "OR": 920, "PA": 2860, "PR": 740,
    "RI": 235, "SC": 1180, "SD": 190, "TN": 1440, "TX": 4650, "UT": 440, "VA": 1620, "VI": 20, "VT": 160,
    "WA": 1480, "WI": 1260, "WV": 440, "WY": 122, "FM": 1, "MH": 1, "PW": 1,
}  # fmt: skip

# lists of literals would fill a screen each
_FIRST_NAMES: Final = (  # noqa: SIM905
    "Mary Linda Barbara Patricia Carol Sandra Nancy Sharon Judith Susan Betty Karen Donna Joyce Dorothy Ruth"
    " Helen Margaret Shirley Gloria Rosa Carmen Mei Fatima James Robert John William Richard David Charles"
    " Thomas Michael Ronald Larry Donald Joseph Gary George Kenneth Jose Carlos Wei Samuel"
).split()
_LAST_NAMES: Final = (  # noqa: SIM905
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez"
    " Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark"
    " Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams"
    " Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts"
).split()

YOUNGEST_AGE: Final = 64
OLDEST_AGE: Final = 95
_PHONE_SHARE: Final = 0.7
_HOUSEHOLD_SHARE: Final = 0.015
_TRUNCATED_SHARE: Final = 0.15
_TIME_PART_SHARE: Final = 0.01


@dataclass(frozen=True)
class _Peculiarity:
    """Something odd about a share of the contacts, at least about one of them; no contact has two.

    Attributes:
        share: Of all contacts.
        texts: By column, what it holds; the contacts concerned take these texts in turn.
    """

    share: float
    texts: dict[str, tuple[str | None, ...]]


_PECULIARITIES: Final = (
    _Peculiarity(0.006, {"email": (None, "", "  ")}),
    _Peculiarity(
        0.006,
        {"email": ("contact.example.com", "contact@localhost", "con tact@example.com", "a@b@example.com")},
    ),
    _Peculiarity(0.003, {"zip_code": (None, "", " ")}),
    _Peculiarity(0.003, {"zip_code": ("00000", "ABCDE", "123456")}),
    # Without the state column it would be a ZIP of the military; Beverly Hills' 90210 has lost its end.
    _Peculiarity(0.001, {"zip_code": ("9021",), "state": ("CA",)}),
    _Peculiarity(0.020, {"state": (None, "")}),
    _Peculiarity(0.012, {"state": ("TX", "FL", "OH", "NY")}),
    _Peculiarity(0.015, {"birth_date": (None, "")}),
    _Peculiarity(0.003, {"birth_date": ("03/10/1950", "1950-13-40", "unknown", "0000-00-00")}),
    _Peculiarity(0.025, {"effective_date": (None, "")}),
    _Peculiarity(0.003, {"effective_date": ("2019-02-30", "TBD", "6/1/2019")}),
    _Peculiarity(0.001, {"effective_date": ("2020-02-29", "2016-02-29")}),
)
_SUPPRESSED_SHARE: Final = 0.012
_LEAP_DAY_SHARE: Final = 0.004
_SUPPRESSION_REASONS: Final = ("unsubscribed", "bounced", "do_not_contact")


def make_contacts(
    first_id: int, count: int, as_of: date, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Make up contacts and suppressions, as the tables ``contacts`` and ``contact_suppressions`` hold them.

    Ids run from ``first_id`` on. The same arguments and the same state of ``rng`` give the same rows.
    """
    ids = np.arange(first_id, first_id + count, dtype=np.int64)
    order = rng.permutation(count)
    picks, plain_from = [], 0
    for share in [kind.share for kind in _PECULIARITIES] + [_SUPPRESSED_SHARE, _LEAP_DAY_SHARE]:
        size = max(1, round(share * count))
        picks.append(order[plain_from : plain_from + size])
        plain_from += size
    is_plain = np.zeros(count, np.bool_)
    is_plain[order[plain_from:]] = True

    household = np.arange(count) - ((rng.random(count) < _HOUSEHOLD_SHARE) & (np.arange(count) > 0))
    first_names = rng.integers(len(_FIRST_NAMES), size=count)
    last_names = rng.integers(len(_LAST_NAMES), size=count)[household]
    states, zips = _places(count, rng)
    births = _birth_days(count, as_of, rng, leap_days=picks[-1])
    columns = {
        "id": pa.array(ids),
        "first_name": _of(_FIRST_NAMES, first_names),
        "last_name": _of(_LAST_NAMES, last_names),
        "email": _emails(ids, first_names, last_names).take(pa.array(household)),
        "zip_code": _zip_texts(zips[household], is_plain, rng),
        "state": _of(STATES, states[household]),
        "birth_date": _with_time_part(_dates(births), rng),
        "effective_date": _dates(_effective_days(births, as_of, rng)),
        "phone_number": _phones(count, rng),
    }
    for kind, rows in zip(_PECULIARITIES, picks, strict=False):
        for name, texts in kind.texts.items():
            columns[name] = _put(columns[name], rows, texts)
    return pa.table(columns), _suppressions(ids[np.sort(picks[-2])], as_of, rng)


@cache
def _zips_by_state() -> tuple[Ids, Ids, Ids]:
    """Return all ZIPs, those of a state side by side, and where each state's begin and how many they are."""
    codes = state_codes_by_zip()
    zips = np.flatnonzero(codes >= 0)
    zips = zips[np.argsort(codes[zips], kind="stable")]
    counts = np.bincount(codes[zips], minlength=len(STATES))
    return zips, np.cumsum(counts) - counts, counts


def _places(count: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Return the state of each contact, a position in ``STATES``, and its ZIP."""
    weights = np.array([_PEOPLE[state] for state in STATES], dtype=np.float64)
    states = rng.choice(len(STATES), size=count, p=weights / weights.sum())
    zips, starts, counts = _zips_by_state()
    return states, zips[starts[states] + (rng.random(count) * counts[states]).astype(np.int64)]


def _zip_texts(zips: Ids, may_be_truncated: npt.NDArray[np.bool_], rng: np.random.Generator) -> pa.Array:
    count = len(zips)
    texts = pc.utf8_lpad(pc.cast(pa.array(zips), pa.string()), 5, "0")
    is_truncated = (zips < 10_000) & may_be_truncated & (rng.random(count) < _TRUNCATED_SHARE)
    texts = pc.if_else(pa.array(is_truncated), pc.utf8_ltrim(texts, "0"), texts)
    form = rng.random(count)
    has_hyphen = form < 0.05
    has_more = has_hyphen | (~is_truncated & (form < 0.06))
    more = pc.utf8_slice_codeunits(
        pc.cast(pa.array(rng.integers(10_001, 20_000, size=count)), pa.string()), 1
    )
    return pc.binary_join_element_wise(
        texts, pc.if_else(pa.array(has_more), more, ""), _of(["", "-"], has_hyphen.astype(np.int64))
    )


def _emails(ids: Ids, first_names: Ids, last_names: Ids) -> pa.Array:
    local = pc.binary_join_element_wise(
        _of([name.lower() for name in _FIRST_NAMES], first_names),
        _of([name.lower() for name in _LAST_NAMES], last_names),
        pc.cast(pa.array(ids), pa.string()),
        ".",
    )
    return pc.binary_join_element_wise(local, "example.com", "@")


def _phones(count: int, rng: np.random.Generator) -> pa.Array:
    # numbers from 555-0100 to 555-0199 belong to nobody
    numbers = rng.integers(201, 990, size=count) * 10_000_000 + 5_550_100 + rng.integers(100, size=count)
    texts = pc.binary_join_element_wise("+1", pc.cast(pa.array(numbers), pa.string()), "")
    return pc.if_else(pa.array(rng.random(count) < _PHONE_SHARE), texts, pa.scalar(None, pa.string()))


def _birth_days(count: int, as_of: date, rng: np.random.Generator, leap_days: Ids) -> Days:
    oldest = int(anniversaries(as_of.month, as_of.day, as_of.year - OLDEST_AGE)) + 1
    youngest = int(anniversaries(as_of.month, as_of.day, as_of.year - YOUNGEST_AGE))
    births = (youngest - (youngest - oldest) * rng.beta(1.1, 2.4, size=count)).astype(np.int32)
    leap_years = np.arange((as_of.year - OLDEST_AGE + 4) // 4 * 4, as_of.year - YOUNGEST_AGE, 4)
    births[leap_days] = anniversaries(2, 29, rng.choice(leap_years, size=len(leap_days)))
    return births


def _effective_days(births: Days, as_of: date, rng: np.random.Generator) -> Days:
    """Most policies begin with the month of the 65th birthday, many in January, some on any day."""
    count = len(births)
    anchors = Anchors.of(births)
    medicare = anniversaries(anchors.month, 1, anchors.year + 65)
    earliest = np.maximum(anchors.year + 65, as_of.year - 15)
    january = anniversaries(1, 1, rng.integers(earliest, np.maximum(earliest, as_of.year) + 1))
    someday = to_day(as_of) + rng.integers(-12 * 365, 60, size=count)
    return np.choose(rng.choice(3, size=count, p=[0.6, 0.2, 0.2]), [medicare, january, someday]).astype(
        np.int32
    )


def _suppressions(ids: Ids, as_of: date, rng: np.random.Generator) -> pa.Table:
    days = (to_day(as_of) - rng.integers(1, 700, size=len(ids))).astype(np.int32)
    return pa.table(
        {
            "contact_id": pa.array(ids),
            "reason": _of(_SUPPRESSION_REASONS, rng.integers(len(_SUPPRESSION_REASONS), size=len(ids))),
            "suppressed_at": pc.binary_join_element_wise(_dates(days), "14:05:00", "T"),
        }
    )


def _of(texts: Sequence[str | None], positions: Ids) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(positions))


def _dates(days: Days) -> pa.Array:
    return pc.cast(pa.array(days, pa.date32()), pa.string())


def _with_time_part(texts: pa.Array, rng: np.random.Generator) -> pa.Array:
    tail = _of(["", "T00:00:00"], (rng.random(len(texts)) < _TIME_PART_SHARE).astype(np.int64))
    return pc.binary_join_element_wise(texts, tail, "")


def _put(column: pa.Array, rows: Ids, texts: tuple[str | None, ...]) -> pa.Array:
    mask = np.zeros(len(column), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), _of(texts, np.arange(len(rows)) % len(texts)))
