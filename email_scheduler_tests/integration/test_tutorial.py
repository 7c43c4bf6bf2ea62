"""The tutorial, followed word by word in what a fresh clone holds."""

import sys
from datetime import datetime
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import TIME_ZONE
from email_scheduler.orchestration import demo
from email_scheduler_tests import documents
from email_scheduler_tests.documents import REPOSITORY, Reader, clone, set_clock

# the day whose output the documents show
THE_DAY = datetime(2026, 11, 26, 9, tzinfo=TIME_ZONE)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    clone(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Dagster's definitions are those of the clone
    monkeypatch.delitem(sys.modules, "email_scheduler.definitions", raising=False)
    # what Dagster remembers of the demo is not looked at here, and takes half of the time where it is a file
    monkeypatch.setattr(demo, "lasting_instance", dg.DagsterInstance.ephemeral)
    set_clock(monkeypatch, THE_DAY)
    run = partial(documents.run_program, monkeypatch=monkeypatch, capsys=capsys)
    return Reader(run, passed_over=("git ", "cd email_scheduler", "make ui"))


def test_the_tutorial_says_what_happens(reader: Reader) -> None:
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert reader.follow(text) == 11
