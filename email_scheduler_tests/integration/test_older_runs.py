"""Runs whose counts were kept in an earlier form show what they showed when they were published.

``fixtures/runs_before_cubes.json`` holds two runs as they were on record, and what report, page and health
made of them then.
"""

import json
import re
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.health.figures import read_health
from email_scheduler.reports.report import read_report
from email_scheduler.reports.report_page import report_page
from email_scheduler_tests.databases import Database

KEPT: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "runs_before_cubes.json").read_text(encoding="utf-8")
)
NOW = datetime(2026, 12, 3, 12, tzinfo=TIME_ZONE)
CONFIG = SchedulerConfig()


@pytest.fixture
def kept(database: Database) -> Database:
    database.insert("config_versions", *KEPT["config_versions"])
    database.insert("scheduler_checkpoints", *KEPT["scheduler_checkpoints"])
    return database


def test_a_report_of_a_run_before_cubes_says_what_it_said_then(kept: Database) -> None:
    for day, expected in KEPT["reports"].items():
        found = read_report(kept.url, CONFIG, "north", date.fromisoformat(day), NOW)
        document = json.loads(json.dumps(found.document()))
        # each kind of database writes moments in its way
        moments = {name: document["run"][name] for name in ("completed_at", "config_since")}
        later = {"waiting": None, "accepted_losses": []}
        assert document == {**expected, **later, "run": {**expected["run"], **moments}}
        page = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "picture", report_page(found))
        assert page[page.index("<body") :] == KEPT["pages"][day]


def test_the_health_of_an_organisation_planned_before_cubes_is_what_it_was(kept: Database) -> None:
    plan = read_health(kept.url, CONFIG, NOW).plan
    assert plan is not None
    assert asdict(plan) == {**KEPT["health"], "waiting": None, "without_contact": ()}
