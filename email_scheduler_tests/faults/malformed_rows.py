"""Rows that no program should write and that a database holds all the same, from one ``random.Random``."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.frames import PlanInputs
from email_scheduler_tests.integration.test_random_organisations import as_stored
from email_scheduler_tests.oracle.book import rows_of
from email_scheduler_tests.strategies import random_case

Row = dict[str, object]
Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class RawText:
    """Bytes that a column holds as text, whether or not they are UTF-8."""

    content: bytes


GREATEST, LEAST = 2**63 - 1, -(2**63)
TABLES = (
    "contacts",
    "contact_suppressions",
    "campaign_types",
    "campaign_instances",
    "contact_campaigns",
    "email_schedules",
    "tracking_clicks",
    "contact_events",
)
HUGE = "x" * 2_000_000
INTEGERS = (0, 1, -1, 7, 2134, 75001, 2**31, -(2**31), 2**53 + 1, GREATEST, GREATEST - 1, LEAST, LEAST + 1)
REALS = (0.0, -0.0, 1.5, 75001.0, 2134.5, 1e300, -1e-300, float("inf"), float("-inf"), float("nan"), 2.0**63)
BLOBS = (b"", b"\xff\xfe", b"\x00", b"75001", b"1950-03-10", b"a@b.co", b"pre-scheduled", b"\xed\xa0\x80")
BROKEN_TEXTS = (
    RawText(b"\xff@b.co"),
    RawText(b"a\xc3@b.co"),
    RawText(b"a@\xed\xa0\x80.co"),
    RawText(b"7500\xff"),
    RawText(b"1950-03-10\xff"),
    RawText(b"1950-03-10 \xff"),
    RawText(b"a\x00b@c.de"),
    RawText(b"75001\x00"),
    RawText(b"\x001950-03-10"),
)
TEXTS = (
    *(
        "",
        " ",
        "\t\n",
        "\u3000",
        "\u200b",
        "\ufeff",
        "NULL",
        "nan",
        "None",
        "0",
        "-1",
        "1e3",
        "0x10",
        "1_000",
    ),
    *("\u0667\u0665\u0660\u0660\u0661", "\uff17\uff15\uff10\uff10\uff11", "75001\u200b", "\u00b2134"),
    *(
        "\ufffd",
        "a@b.\ufffd",
        "\ud55c\uae00@\ub3c4\uba54\uc778.\ud55c\uad6d",
        "\U0001f600@b.co",
        "\u0130@b.co",
    ),
    *("a@b.co\u3000", "\u200ba@b.co", "a@b.co,c@d.co", "'; DROP TABLE contacts; --@b.co", "<b>@b.co"),
    *("\u202ea@b.co", "\u0391\u03a3@b.co", "\u03b1\u03c2@b.co", "\u1e9e@b.co", "stra\u00dfe@b.co"),
)
DATES = (
    *("0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31", "9999-99-99", "10000-01-01", "-0001-01-01"),
    *("2026-02-29", "2024-02-29", "1900-01-01", "1899-12-31", "2100-12-31", "2101-01-01", "2026-1-1"),
    *("2026-11-23T25:61:61", "2026-11-23 ", "2026-11-23\x0b", "2026-11-23Z", "20261123", "11/23/2026"),
    *("\u0662\u0660\u0662\u0666-11-23", "2026\u201011\u201023", "2026-11-23T00:00:00+14:00", "1e5", "now"),
    *("2026-W48-1", "2026-327", "2026-11-23T", "1950-03-10\u00a0", "\ufeff1950-03-10"),
)
JSONS = (
    *("{", "[]", "null", "true", "0", '"a"', "{}{}", "{'a': 1}", "NaN", '{"main_questions_yes_count": NaN}'),
    *('{"main_questions_yes_count": 1e999}', '{"main_questions_yes_count": "3"}', '{"a": "\\ud800"}'),
    *('{"has_medical_conditions": "true"}', '{"has_medical_conditions": true, "has_medical_conditions": 0}'),
    *('{"has_medical_conditions": true', '{"main_questions_yes_count": ' + "9" * 5000 + "}"),
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"main_questions_yes_count": true}',
    '{"main_questions_yes_count": [1]}',
)
CAMPAIGN_METADATA = (
    *('{"days_before_event": 1e9}', '{"days_before_event": "14"}', '{"days_before_event": true}'),
    *('{"days_before_event": 2147483648}', '{"days_before_event": -99999999999999999999}'),
    *('{"priority": 1.0}', '{"priority": 99999999999}', '{"priority": -99999999999}', '{"priority": []}'),
    *('{"trigger_date": "0000-00-00"}', '{"trigger_date": "9999-12-31"}', '{"trigger_date": 20261123}'),
    *('{"trigger_date": "0001-01-01"}', '{"trigger_date": {}}', '{"trigger_date": false}'),
    *('{"followup_templates": {"cold": 5, "hq_no_conditions": "a"}}', '{"followup_templates": "cold"}'),
    *('{"followup_templates": {"cold": "\\ud800"}}', '{"followup_templates": {"cold": "\\u0000"}}'),
    *('{"followup_sms_templates": {"cold": ["a"]}}', '{"enable_followups": 1}', '{"enable_followups": "no"}'),
    *('{"variant": "\\ud800"}', '{"variant": 1}', '{"variant": "a\\u0000"}'),
    *('{"variants": ' + "[" * 500 + "]" * 500 + "}", '{"audience": {"where": {"state": {"a": [[1]]}}}}'),
    *(
        '{"variants": [{"name": "a", "weight": 1e99}]}',
        '{"audience": "all"}',
        '{"audience": ' + "[" * 900 + "]" * 900 + "}",
    ),
    *('{"respect_exclusion_windows": "false"}', '{"respect_exclusion_windows": null}'),
)
STATUSES = ("", " sent", "SENT", "Pre-Scheduled", "pre-scheduled ", "queued", "skipped", "pre-scheduled", "0")
TYPES = (
    *("", "Birthday", "birthday ", "campaign_", "campaign_\"; '", "followup_", "followup_9", "rate_increase"),
    *("campaign_letter\x00", "\ufffd", "aep", "birthday", "post_window"),
)
_DATE_COLUMNS = {
    *("birth_date", "effective_date", "suppressed_at", "active_start_date", "active_end_date"),
    *("trigger_date", "scheduled_send_date", "actual_send_datetime", "clicked_at", "created_at"),
}
_POOLS: Mapping[str, Sequence[object]] = {
    **dict.fromkeys(_DATE_COLUMNS, DATES),
    "event_data": JSONS,
    "metadata": (*JSONS, *CAMPAIGN_METADATA),
    "status": STATUSES,
    "email_type": TYPES,
    "campaign_type": ("", "unknown", "LETTER"),
}
CAMPAIGN_TABLES = {"campaign_types", "campaign_instances"}


@dataclass(frozen=True)
class Malformed:
    """An organisation some of whose rows are malformed.

    Attributes:
        seed: What it was made from.
        organisation: The well-formed one that it was made from.
        config: Its configuration.
        rows: What to write, by table.
        is_campaign_broken: Whether cells of campaign types and instances are among the malformed ones: they
            may stop the plan.
    """

    seed: int
    organisation: PlanInputs
    config: SchedulerConfig
    rows: Rows
    is_campaign_broken: bool

    def __repr__(self) -> str:
        return f"malformed organisation of seed {self.seed}"


def malformed(seed: int, contacts: int, *, only_texts: bool = False) -> Malformed:
    """Return the organisation that ``seed`` stands for, with at least that many malformed contacts.

    Args:
        seed: Any number.
        contacts: How many contacts there are of which at least one column is malformed.
        only_texts: Leave out what only SQLite holds: values of another type than their column's.
    """
    rng = random.Random(seed)
    organisation, config = random_case(seed)
    rows = {table: rows_of(frame) for table, frame in _frames(organisation)}
    rows = {
        table: [{name: as_stored(name, value) for name, value in row.items()} for row in rows[table]]
        for table in TABLES
    }
    for row in rows["contact_events"]:
        row["event_type"] = "eligibility_answered"
    for row in rows["email_schedules"]:
        row["status"] = row["status"] or "unknown"
    for row in rows["campaign_instances"]:
        row["metadata"] = _without_audience(row["metadata"])
    is_campaign_broken = rng.random() < 0.3
    worst = _Cells(rng, [row["id"] for row in rows["contacts"]], only_texts=only_texts)
    for table in TABLES:
        if table in CAMPAIGN_TABLES and not is_campaign_broken:
            continue
        share = 0.05 if table in CAMPAIGN_TABLES else rng.choice([0.02, 0.1, 0.4])
        rows[table] = [worst.spoilt(row, share, table) for row in rows[table]]
    more = rows["contacts"] or [dict.fromkeys(("id", "email", "zip_code", "birth_date", "effective_date"))]
    for _ in range(contacts):
        row = {
            **rng.choice(more),
            "id": worst.new_contact_id(),
            "email": rng.choice([f"c{rng.random()}@x.org", "a@b.co"]),
        }
        rows["contacts"].append(worst.spoilt(row, 0.3, "contacts", at_least_one=True))
    rows["contacts"] = _with_one_id_each(rows["contacts"])
    return Malformed(seed, organisation, config, rows, is_campaign_broken)


def _without_audience(metadata: object) -> object:
    """Leave out what asks for columns that the contacts of older programs do not have."""
    if not isinstance(metadata, str) or "audience" not in metadata:
        return metadata
    return json.dumps({name: value for name, value in json.loads(metadata).items() if name != "audience"})


def _frames(organisation: PlanInputs) -> Iterable[tuple[str, Any]]:
    names = ("contacts", "suppressions", "campaign_types", "campaign_instances", "contact_campaigns")
    return zip(
        TABLES,
        [getattr(organisation, name) for name in (*names, "history", "clicks", "answers")],
        strict=True,
    )


def _with_one_id_each(rows: list[Row]) -> list[Row]:
    return list({repr(row["id"]): row for row in rows}.values())


class _Cells:
    """Malformed values for the columns of the tables."""

    def __init__(self, rng: random.Random, contact_ids: list[object], *, only_texts: bool) -> None:
        self._rng = rng
        self._contact_ids = contact_ids
        self._only_texts = only_texts
        self._next_id = rng.choice([-50, 10_000, GREATEST - 500, LEAST + 1, 2**53 - 20])
        self._has_huge = False

    def new_contact_id(self) -> object:
        """Return an id, rarely one that is none."""
        self._next_id += 1
        if self._rng.random() < 0.9:
            return self._next_id
        none = (
            [0, None]
            if self._only_texts
            else [0, None, "", "abc", b"7", 1.5, "12abc", float("inf"), "9" * 30]
        )
        return self._rng.choice(none)

    def spoilt(self, row: Row, share: float, table: str, *, at_least_one: bool = False) -> Row:
        """Return the row with about that share of its cells malformed; a primary key stays one."""
        rng = self._rng
        names = [name for name in row if name not in ("id", "name", "event_type")]
        if table == "contact_suppressions":
            names.remove("contact_id")
        chosen = [name for name in names if rng.random() < share]
        if at_least_one and not chosen:
            chosen = [rng.choice(names)]
        return {**row, **{name: self.value(name) for name in chosen}}

    def value(self, name: str) -> object:
        rng = self._rng
        if name.endswith("_id"):
            pool = [*self._contact_ids, 0, None, GREATEST, LEAST, -1]
            if not self._only_texts:
                mixed = str(rng.choice(self._contact_ids or [1]))
                pool += [mixed, f"{mixed}abc", f" {mixed} ", "abc", "", b"1", 1.5, 1.0, "1.0", "1e0", 2.0**63]
                pool += ["9" * 30, RawText(b"1\x00"), "\u0661"]
            return rng.choice(pool)
        if self._only_texts:
            kinds = [TEXTS, _POOLS.get(name, TEXTS), _POOLS.get(name, TEXTS)]
            return rng.choice([None, *rng.choice(kinds)])
        if not self._has_huge and rng.random() < 0.02:
            self._has_huge = True
            return HUGE
        special = _POOLS.get(name, TEXTS)
        return rng.choice(
            [None, *rng.choice([INTEGERS, REALS, BLOBS, BROKEN_TEXTS, TEXTS, special, special])]
        )


def as_replaced(one: Malformed, rows: Rows) -> Malformed:
    """Return the same organisation with other rows."""
    return replace(one, rows=rows)
