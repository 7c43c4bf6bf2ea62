"""An organisation in which every command has something to do, and that is as it was before each of them."""

import re
import shlex
import time
from datetime import date
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.contacts.suppressions import suppress_one
from email_scheduler.database.tables import metadata
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.command_line import Outcome, run_command
from email_scheduler_tests.databases import Database, Rows, replace_rows
from email_scheduler_tests.hostile_urls import SECRET, make_loop
from email_scheduler_tests.integration.campaigns.campaign_database import CONTENT

DAY = "2026-11-23"
# Each command as somebody gives it who means it: arguments, then options.
CALLS = {
    "plan": f"--as-of {DAY} --allow-future --accept-loss --reason why --by me",
    "health": "",
    "report": f"--as-of {DAY}",
    "explain": f"--contact 1 --as-of {DAY}",
    "campaigns target": "promo/spring --where state=TX --trigger-date 2027-06-01",
    "campaigns withdraw": "promo/spring --where state=TX",
    "campaigns show": "promo/spring",
    "campaigns preview": f"promo/spring --as-of {DAY}",
    "campaigns sync": "",
    "campaigns changes": "",
    "campaigns types": "",
    "campaigns types create": "letter priority=3",
    "campaigns types change": "promo priority=4",
    "campaigns types activate": "promo",
    "campaigns types deactivate": "promo",
    "campaigns instances": "",
    "campaigns instances create": "promo/june email_template=june_v1",
    "campaigns instances change": "promo/spring email_template=june_v1",
    "campaigns instances end": "promo/spring 2027-06-30",
    "campaigns instances stop": "promo/spring",
    "campaigns instances start": "promo/spring",
    "hold": "--reason why",
    "release": "--reason why",
    "contacts import": "--csv contacts.csv --accept-loss --reason why --by me",
    "contacts rekey": "--csv ids.csv --reason why",
    "suppress": "--email x@example.com --reason why",
    "unsuppress": "--email s@example.com",
    "suppressions list": "",
    "states": "",
    "what-if": f"--config other.yaml --present scheduler.yaml --as-of {DAY}",
    "simulate": f"--from {DAY} --days 2",
    "config history": "",
    "config show": "1",
    "config diff": f"1 --as-of {DAY}",
    "config rollback": "1 --yes --config scheduler.yaml",
    "init-db": "",
    "backup create": "",
    "backup list": "",
    "backup verify": "latest",
    "backup restore": "latest --yes",
    "generate": f"--contacts 20 --as-of {DAY}",
    "demo": "",
    "import-history": "--csv history.csv",
    "migrate-rate-increases": "",
    "shadow": f"--beside older.csv --as-of {DAY}",
}
# Of these options a command takes one.
ONE_OF = (
    {"--ids", "--csv", "--where", "--all"},
    {"--contact", "--email"},
    {"--email", "--csv"},
    {"--database", "--organization"},
)
SENT = """
    INSERT INTO email_schedules (id, contact_id, email_type, scheduled_send_date, status,
            actual_send_datetime, campaign_instance_id, event_year, event_month, event_day) VALUES
        (1, 1, 'birthday', '2026-11-20', 'sent', '2026-11-20T14:00:00', NULL, 2026, 12, 4),
        (2, 7, 'effective_date', '2026-11-20', 'delivered', '2026-11-20T14:00:00', NULL, 2026, 12, 1),
        (3, 3, 'campaign_promo', '2026-11-21', 'sent', '2026-11-21T14:00:00', 2, 2026, 12, 4);
    INSERT INTO tracking_clicks (id, contact_id, email_schedule_id, clicked_at)
        VALUES (1, 1, 1, '2026-11-21T10:00:00');
    INSERT INTO contact_events (id, contact_id, event_type, event_data, created_at)
        VALUES (1, 7, 'eligibility_answered', '{"main_questions_yes_count": 1}', '2026-11-21T10:00:00');
    INSERT INTO contact_suppressions (contact_id, reason) VALUES (10, 'asked');
"""
LONGEST_SECONDS = 30
_UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e\u2028\ud800-\udfff]")


class Organisation:
    """A database that is as it was before each command, in a directory of its own."""

    def __init__(
        self, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.database = database
        self._patch, self._printed = monkeypatch, capsys
        self.before: Rows = {}

    def begin_with(self, rows: Rows) -> None:
        """Make these the rows of the beginning."""
        self.before = rows
        self.reset()

    def rows(self) -> Rows:
        """Return what anybody has written; not that a planner has held the lock."""
        return {
            table.name: self.database.rows(f"SELECT * FROM {table.name} ORDER BY 1, 2")
            for table in metadata.sorted_tables
            if table.name != "planner_lock"
        }

    def reset(self) -> None:
        """Make the rows those of the beginning again; no trigger sees it."""
        replace_rows(self.database, self.before)

    def run(self, arguments: list[str]) -> Outcome:
        """Run a command, which does nothing to a terminal and comes to an end."""
        began = time.monotonic()
        outcome = run_command(self._patch, self._printed, *arguments, width=40_000)
        assert time.monotonic() - began < LONGEST_SECONDS, arguments
        shown = outcome.out + outcome.err
        assert not _UNSEEN.search(shown), (arguments, shown)
        assert "Traceback" not in shown, (arguments, shown)
        assert SECRET not in shown, (arguments, shown)
        assert "--debug shows what and where" not in outcome.err, (arguments, outcome)
        assert outcome.code in {0, 1, 2, 3}, (arguments, outcome)
        assert outcome.code == 0 or "rror: " in outcome.err or arguments[0] == "health", (arguments, outcome)
        return outcome


def organisation_of(
    database: Database,
    begun: dict[str, Rows],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    directory: Path,
) -> Organisation:
    """Return ten contacts, campaigns, two plans and a suppressed address; files for all commands.

    Args:
        database: An initialised one without rows.
        begun: Gets the rows for each kind of database; has them from the second time on.
        monkeypatch: For the commands.
        capsys: For the commands.
        directory: What leads two directories up from where the commands run stays within it.
    """
    place = directory / "deep" / "deeper"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    make_loop(place)
    config = Path("config")
    config.mkdir()
    (config / "organizations.yaml").write_text(
        f"organizations: {{north: {{database: {database.url}}}, south: {{database: 'sqlite:///south.db'}}}}\n"
    )
    for path in (config / "scheduler.yaml", Path("scheduler.yaml")):
        path.write_text("timing_constants: {birthday_email_days_before: 14}\n")
    Path("other.yaml").write_text("timing_constants: {birthday_email_days_before: 21}\n")
    Path("contacts.csv").write_text("id,email,zip_code\n11,new@example.com,75001\n")
    Path("ids.csv").write_text("old_id,new_id\n99,10\n")
    for path, line in (("history.csv", "2026-02-24,sent"), ("older.csv", "2027-02-24,pre-scheduled")):
        Path(path).write_text(f"contact_id,email_type,scheduled_send_date,status\n1,birthday,{line}\n")
    found = Organisation(database, monkeypatch, capsys)
    kind = "postgresql" if database.is_postgresql else "sqlite"
    if kind in begun:
        found.begin_with(begun[kind])
    else:
        database.run(CONTENT + SENT)
        for days in (14, 21):
            changed_days = {"timing_constants": {"birthday_email_days_before": days}}
            plan_and_publish(
                database.url, SchedulerConfig.model_validate(changed_days), date.fromisoformat(DAY)
            )
        suppress_one(database.url, SchedulerConfig(), "s@example.com", "asked", None)
        found.before = begun[kind] = found.rows()
    return found


def tokens_of(name: str, database: Database, without: str = "") -> tuple[list[str], dict[str, str | None]]:
    """Return arguments and options of a call, without those that do not go with an option."""
    words = shlex.split(CALLS[name])
    count = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
    given, rest = words[:count], words[count:]
    options: dict[str, str | None] = {}
    for at, word in enumerate(rest):
        if word.startswith("--"):
            value = rest[at + 1] if at + 1 < len(rest) else "--"
            options[word] = None if value.startswith("--") else value
    if name != "demo":
        options["--database"] = "sqlite:///sample.db" if name == "generate" else database.url
    for alike in ONE_OF:
        if without in alike:
            options = {each: value for each, value in options.items() if each not in alike}
    return given, options


def written(name: str, given: list[str], options: dict[str, str | None]) -> list[str]:
    more = [word for each, value in options.items() for word in (each, value) if word is not None]
    return [*name.split(), *more, *(["--", *given] if given else [])]
