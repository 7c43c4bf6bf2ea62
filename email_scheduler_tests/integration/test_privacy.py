"""Nothing personal is left anywhere but in the organisation's database and the Parquet files of its runs."""

import json
import os
import stat
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.publishing import planned_rows
from email_scheduler.database.publishing.planned_rows import planner_rows_in_background
from email_scheduler.planning_run import plan_and_publish
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.canary import (
    ADDRESS,
    BIRTH_DATE,
    CONTACT,
    CONTACT_ID,
    FIRST_NAME,
    LAST_NAME,
    PHONE_NUMBER,
    traces_in,
    traces_in_files,
    traces_in_rows,
)
from email_scheduler_tests.databases import Database, PostgresqlDatabase, SqliteDatabase
from email_scheduler_tests.integration.dagster_organizations import ORGANIZATIONS, write_configuration

PLANNERS_TABLES = (
    *("scheduler_checkpoints", "contact_issues", "config_versions", "email_schedules"),
    *("email_schedules_archive", "followup_processing_log", "planner_lock", "campaign_change_log"),
)
ORGANIZATION = ORGANIZATIONS[0]
# Runs each command as the program does, one after the other in one process; starting it takes seconds.
COMMANDS = """
import json, sys
from email_scheduler.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["email-scheduler", *arguments]
    print("$", arguments[0], flush=True)
    try:
        main()
        print("exit code 0", flush=True)
    except SystemExit as end:
        print("exit code", end.code or 0, flush=True)
"""
# Materialises everything, then breaks one thing after the other and tries again.
DAGSTER_RUNS = """
import sqlite3, sys
from contextlib import closing
from pathlib import Path
import dagster as dg
from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler_tests import canary
from email_scheduler_tests.integration.dagster_organizations import run_job
import email_scheduler.orchestration.assets as assets

config, organization, database = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def write(statement, *values):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement, values)

def unexpected(*_, **__):
    secret = f"{canary.FIRST_NAME} {canary.LAST_NAME} <{canary.ADDRESS}> {canary.BIRTH_DATE}"
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise ValueError(secret) from error

with dg.DagsterInstance.get() as instance:
    def run(*only):
        result = run_job(build_definitions(config), instance, organization, today(), *only)
        print("run", "succeeded" if result.success else "failed", flush=True)

    run()
    write("UPDATE campaign_instances SET metadata = ? WHERE id = 1", '{"a": "' + canary.ADDRESS)
    run()
    write("UPDATE campaign_instances SET metadata = NULL")
    validate, assets.validate_contacts = assets.validate_contacts, unexpected
    run()
    assets.validate_contacts = validate
    write("INSERT INTO contact_suppressions (contact_id) VALUES (?)", canary.CONTACT_ID)
    write("CREATE TRIGGER refuse BEFORE INSERT ON contact_issues BEGIN SELECT RAISE(ABORT, 'refused'); END")
    run()
    write("DROP TRIGGER refuse")
    for file in (config.parent / "frames" / "contacts").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-200])
    run("exclusion_windows")
    write("ALTER TABLE contacts RENAME COLUMN zip_code TO post_code")
    run()
"""


@dataclass
class Office:
    """A directory with the configuration, the database and everything that runs leave.

    Attributes:
        directory: All of it.
        config: The configuration.
        database: The organisation's, with the canary in it.
    """

    directory: Path
    config: Path
    database: SqliteDatabase

    def run(self, script: str, *arguments: str) -> str:
        """Run Python in a process of its own; return what it printed, which is kept in a file as well."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DAGSTER_HOME": str(self.directory / "dagster_home"),
            "TMPDIR": str(self.directory / "tmp"),
            "HOME": str(self.directory / "home"),
        }
        output = self.directory / "output.txt"
        with output.open("a+b") as file:
            subprocess.run(
                [sys.executable, "-c", f"import os; os.umask(0o022)\n{script}", *arguments],
                env=environment,
                cwd=self.directory,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=300,
            )
        return output.read_text()

    def commands(self, *commands: list[str]) -> list[str]:
        """Run commands; return what each printed, its exit code last."""
        text = self.run(COMMANDS, json.dumps(commands))
        return text.split("$ ")[-len(commands) :]

    def traces(self) -> dict[Path, set[bytes]]:
        """Return what of the canary is where it must not be."""
        path = self.database.path
        own = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
        inputs = [self.directory / "given"]
        # copies of the database; nobody but their owner may read them
        copies = [self.directory / "frames", self.directory / "data" / "backups"]
        assert all(is_private(path) for copy in copies if copy.exists() for path in (copy, *copy.rglob("*")))
        return traces_in_files(self.directory, but_not=[*own, *copies, *inputs])


@pytest.fixture
def office(tmp_path: Path) -> Office:
    config = write_configuration(tmp_path, reporting="enabled: true")
    (config / "scheduler.yaml").write_text(
        (config / "scheduler.yaml").read_text()
        + f"logging:\n  file: {tmp_path / 'logs' / 'scheduler.log'}\n  level: DEBUG\n"
    )
    for name in ("dagster_home", "tmp", "home", "given"):
        (tmp_path / name).mkdir()
    url = f"sqlite:///{tmp_path / ORGANIZATION}.db"
    generate_sample(url, 60, 1, today(), SchedulerConfig())
    database = SqliteDatabase(tmp_path / f"{ORGANIZATION}.db")
    plant(database)
    return Office(tmp_path, config, database)


def plant(database: Database) -> None:
    """Put the canary wherever the tables hold something about a contact."""
    day = today().isoformat()
    database.insert("contacts", CONTACT)
    # two more that have something to be recorded
    database.insert("contacts", {**CONTACT, "id": CONTACT_ID + 1, "email": f"{ADDRESS} x"})
    database.insert("contacts", {**CONTACT, "id": CONTACT_ID + 2, "birth_date": f"on {BIRTH_DATE}"})
    about = json.dumps({"name": f"{FIRST_NAME} {LAST_NAME}", "phone": PHONE_NUMBER})
    email = {"contact_id": CONTACT_ID, "email_type": "birthday", "status": "sent", "metadata": about}
    database.insert("email_schedules", {"id": 900_001, **email, "actual_send_datetime": day})
    database.insert(
        "tracking_clicks",
        {"contact_id": CONTACT_ID, "clicked_at": day, "url": f"https://x.example/?to={ADDRESS}"},
    )
    database.insert(
        "contact_events",
        {
            "contact_id": CONTACT_ID,
            "event_type": "eligibility_answered",
            "event_data": about if database.is_postgresql else about[:-1],
            "created_at": day,
        },
    )
    database.insert("campaign_types", {"name": "canary_promo"})
    database.insert(
        "campaign_instances", {"id": 900, "campaign_type": "canary_promo", "instance_name": "spring"}
    )
    database.insert(
        "contact_campaigns",
        {
            "contact_id": CONTACT_ID,
            "campaign_instance_id": 900,
            "metadata": about,
            "trigger_date": f"after {BIRTH_DATE}",
        },
    )


def test_the_search_finds_the_canary_wherever_it_is(tmp_path: Path) -> None:
    spellings = [ADDRESS, ADDRESS.upper(), BIRTH_DATE, "19470319", PHONE_NUMBER, LAST_NAME]
    for number, text in enumerate(spellings):
        content = f"some text: {text}, and more".encode()
        (tmp_path / f"{number}_plain").write_bytes(content)
        (tmp_path / f"{number}_utf16").write_bytes(content.decode().encode("utf-16-le"))
        (tmp_path / f"{number}_zlib").write_bytes(b"head" + zlib.compress(content * 3) + b"tail")
        with pa.OSFile(str(tmp_path / f"{number}_zstd"), "wb") as file:
            file.write(pa.compress(content, codec="zstd", asbytes=True))
    assert len(traces_in_files(tmp_path)) == 4 * len(spellings)


def test_commands_leave_nothing_personal(office: Office) -> None:
    database = ["--database", office.database.url, "--config", str(office.config)]
    given = office.directory / "given"
    bad, headless, broken = given / "bad.csv", given / "headless.csv", given / "broken.csv"
    bad.write_text(f"email,trigger_date,note\nnobody.{ADDRESS},2026-12-01,x\n{ADDRESS},{BIRTH_DATE}x,y\n")
    headless.write_text(f"{ADDRESS},{ADDRESS}\n")
    broken.write_bytes(f'email\n"{ADDRESS}\n'.encode() + b"\xff")
    instance = "canary_promo/spring"
    outputs = office.commands(
        ["plan", *database, "--dry-run"],
        ["plan", *database, "--json"],
        ["plan", *database],
        ["report", *database, "--html", str(office.directory / "report.html")],
        ["report", *database, "--json"],
        ["campaigns", "target", instance, "--csv", str(bad), *database],
        ["campaigns", "target", instance, "--csv", str(headless), *database],
        ["campaigns", "target", instance, "--csv", str(broken), *database],
        ["campaigns", "show", instance, "--csv", str(given / "targets.csv"), *database],
        ["campaigns", "preview", instance, "--json", *database],
        ["campaigns", "instances", *database, "--json"],
        ["campaigns", "changes", *database],
    )
    ends = [output.strip().rpartition("exit code ")[2] for output in outputs]
    assert ends == ["0", "0", "0", "0", "0", "2", "2", "2", "0", "0", "0", "0"], outputs
    # errors that have to do with the canary
    office.database.write(
        "UPDATE campaign_instances SET metadata = ? WHERE id = 900", (f'{{"to": "{ADDRESS}',)
    )
    office.database.run(
        "CREATE TRIGGER refuse BEFORE INSERT ON contact_issues BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    (corrupt,) = office.commands(["plan", *database])
    office.database.write("UPDATE campaign_instances SET metadata = NULL")
    office.database.write("UPDATE contacts SET email = 'new' WHERE id = ?", (CONTACT_ID + 2,))
    violated, copied = office.commands(
        ["plan", *database], ["plan", *database, "--replica", f"sqlite:///{given}/x.db"]
    )
    assert "metadata is no JSON" in corrupt
    assert is_private(office.directory / "report.html")
    assert "error: database" in violated
    assert "error: database" in copied
    assert office.traces() == {}
    assert traces_in_rows(office.database.path, PLANNERS_TABLES[:3]) == set()
    assert list((office.directory / "tmp").iterdir()) == []
    assert is_private(office.directory / "logs" / "scheduler.log")
    assert is_private(office.directory / "logs")
    assert is_private(given / "targets.csv")
    assert is_private(office.database.path)


def test_what_dagster_keeps_of_runs_and_failures_is_nothing_personal(office: Office) -> None:
    output = office.run(DAGSTER_RUNS, str(office.config), ORGANIZATION, str(office.database.path))
    runs = [line for line in output.splitlines() if line.startswith("run ")]
    assert runs == ["run succeeded", *["run failed"] * 5], output
    assert office.traces() == {}
    assert traces_in_rows(office.database.path, PLANNERS_TABLES[:3]) == set()
    home = office.directory / "dagster_home"
    events = b"".join(path.read_bytes() for path in home.rglob("*.db"))
    # what happened is told all the same
    assert b"ValueError, at email_scheduler/orchestration" in events
    assert b"no such column: zip_code" in events
    assert list((office.directory / "tmp").iterdir()) == []
    for kept in ("frames", "reports"):
        files = list((office.directory / kept).rglob("*"))
        assert files
        assert all(is_private(path) for path in (office.directory / kept, *files))


def test_a_violated_constraint_of_postgresql_does_not_show_its_row(
    postgresql_database: PostgresqlDatabase,
) -> None:
    plant(postgresql_database)
    postgresql_database.write("UPDATE contact_campaigns SET trigger_date = ?", (today().isoformat(),))
    postgresql_database.write("UPDATE campaign_instances SET email_template = ?", (f"letter_to_{ADDRESS}",))
    postgresql_database.run(
        "ALTER TABLE email_schedules ADD CONSTRAINT no_letters CHECK (email_template !~ 'letter')"
    )
    try:
        with pytest.raises(Exception, match="no_letters") as error:
            plan_and_publish(postgresql_database.url, SchedulerConfig(), today())
    finally:
        postgresql_database.run("ALTER TABLE email_schedules DROP CONSTRAINT no_letters")
    assert traces_in(str(error.value).encode()) == set()
    told = postgresql_database.query("SELECT error_message FROM scheduler_checkpoints")
    assert "no_letters" in str(told)
    assert traces_in(str(told).encode()) == set()


def test_rows_that_wait_in_a_temporary_file_are_the_owners_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_and_publish(office.database.url, SchedulerConfig(), today())
    monkeypatch.setattr(planned_rows, "_ROWS_WORTH_A_PROCESS", 0)
    monkeypatch.setenv("TMPDIR", str(office.directory / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen = []
    saved_column = planned_rows._saved_column

    def looking(directory: str, name: str) -> object:
        seen.append((is_private(Path(directory)), traces_in_files(Path(directory))))
        return saved_column(directory, name)

    monkeypatch.setattr(planned_rows, "_saved_column", looking)
    with planner_rows_in_background(office.database.url, SchedulerConfig()) as rows:
        assert len(rows()) > 0
    assert seen
    assert all(one == (True, {}) for one in seen)
    assert list((office.directory / "tmp").iterdir()) == []


def is_private(path: Path) -> bool:
    """Say whether nobody but the owner has a right to a file or directory."""
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
