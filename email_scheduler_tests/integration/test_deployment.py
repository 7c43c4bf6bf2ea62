"""What docs/deployment.md tells engineers to install is what is run here."""

import configparser
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from sqlalchemy.engine import make_url

from email_scheduler.clock import today
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections.faults import server_address
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.definitions import build_definitions
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.databases import Server
from email_scheduler_tests.integration.dagster_organizations import (
    failure_messages,
    generate_organizations,
    run_job,
    write_configuration,
)

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
PROGRAMS = Path(sys.executable).parent
SERVICES = (
    *("email-scheduler-daemon", "email-scheduler-web", "email-scheduler-web-readonly"),
    "email-scheduler-reports",
)
ROLES = ("email_planner", "email_sender", "email_crm", "email_marketing", "email_reader")
PATIENCE_SECONDS = 120


def blocks(language: str) -> list[str]:
    """Return the blocks of a language, in their order on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def block_that_begins(language: str, first_line: str) -> str:
    (found,) = (block for block in blocks(language) if block.startswith(first_line))
    return found


def units() -> dict[str, str]:
    """Return the units by name; the third and the fourth are the second with another command."""
    daemon, web, *commands = blocks("ini")
    others = (re.sub(r"^ExecStart=.*\n", command, web, flags=re.MULTILINE) for command in commands)
    return dict(zip(SERVICES, (daemon, web, *others), strict=True))


def parsed(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit)
    return parser


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_runs_a_program_that_is_installed_as_a_user_of_its_own(name: str) -> None:
    service = parsed(units()[name])["Service"]
    program, *arguments = service["ExecStart"].split()
    assert (PROGRAMS / Path(program).name).exists()
    assert ("--read-only" in arguments) == name.endswith("readonly")
    assert service["User"] == "email-scheduler"
    assert service["UMask"] == "0077"
    assert service["ProtectSystem"] == "strict"
    assert service["Restart"] == "always"
    if name != "email-scheduler-daemon":
        option = "--bind" if "http.server" in arguments else "--host"
        assert arguments[arguments.index(option) + 1] == "127.0.0.1"


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_takes_the_unit_and_finds_it_well_protected(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        # nothing to ask; the test above has read it
        return
    unit = tmp_path / f"{name}.service"
    unit.write_text(units()[name].replace("/opt/email-scheduler/venv/bin", str(PROGRAMS)))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    said = verified.stdout + verified.stderr
    assert unit.name not in said, said
    security = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert security.returncode == 0, security.stdout[-300:] + security.stderr


def test_the_alarm_takes_one_for_degraded_and_a_program_that_cannot_begin_for_a_failure() -> None:
    """Whatever ends ``health`` itself ends it with 2: ``test_health_command.py``."""
    unit = block_that_begins("cfg", "# /etc/systemd/system/email-scheduler-health.service")
    service = parsed(unit)["Service"]
    assert service["SuccessExitStatus"] == "1"
    assert service["ExecStart"].split()[1:] == ["health"]
    begins = [
        str(PROGRAMS / Path(word).name) if word.startswith("/") else word
        for word in shlex.split(service["ExecStartPre"])
    ]
    assert subprocess.run(begins, cwd=REPOSITORY, check=False).returncode == 0


def nginx_configuration() -> str:
    return block_that_begins("nginx", "# /etc/nginx/conf.d/email-scheduler.conf")


def test_every_way_to_the_ui_asks_who_is_there() -> None:
    locations = re.findall(r"location (\S+) \{(.*?)\}", nginx_configuration(), re.DOTALL)
    assert {path: "auth_basic_user_file" in body for path, body in locations} == {
        "/scheduler": True,
        "/scheduler-view": True,
        "/scheduler-reports/": True,
    }
    ports = {path: re.search(r"proxy_pass http://127\.0\.0\.1:(\d+)/?;", body)[1] for path, body in locations}
    for service, path in (
        ("email-scheduler-web", "/scheduler"),
        ("email-scheduler-web-readonly", "/scheduler-view"),
    ):
        arguments = parsed(units()[service])["Service"]["ExecStart"].split()
        assert arguments[arguments.index("--port") + 1] == ports[path]
        assert arguments[arguments.index("--path-prefix") + 1] == path
    pages = parsed(units()["email-scheduler-reports"])["Service"]["ExecStart"].split()
    assert pages[pages.index("http.server") + 1] == ports["/scheduler-reports/"]


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or os.environ.get("EMAIL_SCHEDULER_TEST_NGINX")
    text = nginx_configuration()
    assert text.count("{") == text.count("}")
    if nginx is None:
        # nothing to ask
        return
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.agency.example"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    text = text.replace("/etc/ssl/certs/mail.agency.example.pem", str(certificate))
    text = text.replace("/etc/ssl/private/mail.agency.example.key", str(key))
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n"
    )
    tested = subprocess.run([nginx, "-t", "-c", str(main)], capture_output=True, text=True, check=False)
    assert "syntax is ok" in tested.stderr, tested.stderr


def test_the_dagster_instance_lives_in_postgresql(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (storage,) = (block for block in blocks("yaml") if block.startswith("storage:"))
    assert yaml.safe_load(storage)["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}
    config = write_configuration(tmp_path)
    generate_organizations(config)
    home = tmp_path / "home"
    home.mkdir()
    settings = (REPOSITORY / "config" / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(f"{settings}\n{storage}")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with postgresql_server.database(f"email_scheduler_test_{os.getpid()}_dagster") as database:
        driver = make_url(database.url).set(drivername="postgresql+psycopg2")
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", driver.render_as_string(hide_password=False))
        inputs = ("contacts", "campaigns", "email_history", "engagement")
        with dg.DagsterInstance.get() as instance:
            result = run_job(build_definitions(config), instance, "northwind", today(), *inputs)
            assert result.success, failure_messages(result)
        with dg.DagsterInstance.get() as instance:
            assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
            assert instance.get_latest_materialization_event(dg.AssetKey("contacts")) is not None
        with psycopg.connect(server_address(database.url)) as connection:
            assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert not list(home.rglob("*.db"))


@contextmanager
def organisation_with_roles(server: Server) -> Iterator[dict[str, Any]]:
    """Run the statements of the page, under names of this process; yield the database's URL of each role."""
    suffix = f"_{os.getpid()}"
    create, grant = (
        block_that_begins("sql", "-- as the server's administrator"),
        block_that_begins("sql", "-- as email_planner"),
    )

    def renamed(text: str) -> str:
        text = re.sub(r"\b(email_(planner|sender|crm|marketing|reader)|northwind)\b", rf"\g<1>{suffix}", text)
        return text.replace("PASSWORD '...'", "PASSWORD 'of the test'")

    admin = psycopg.connect(server_address(server.url), autocommit=True)
    base = make_url(server.url).set(database=f"northwind{suffix}", password="of the test")
    urls = {
        role: base.set(username=f"{role}{suffix}").render_as_string(hide_password=False) for role in ROLES
    }
    drop = [f"DROP DATABASE IF EXISTS northwind{suffix} WITH (FORCE)"]
    drop += [f"DROP ROLE IF EXISTS {role}{suffix}" for role in ROLES]
    try:
        for statement in [*drop, *filter(str.strip, renamed(create).split(";\n"))]:
            admin.execute(statement)
        initialise_database(urls["email_planner"])
        with psycopg.connect(server_address(urls["email_planner"])) as connection:
            connection.execute(renamed(grant))
        yield urls
    finally:
        for statement in drop:
            admin.execute(statement)
        admin.close()


def run_as(url: str, *statements: str) -> None:
    with psycopg.connect(server_address(url)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_each_role_can_do_its_work_and_nothing_else(postgresql_server: Server) -> None:
    with organisation_with_roles(postgresql_server) as urls:
        day = (today() + timedelta(days=14)).replace(year=1950, day=28)
        run_as(
            urls["email_crm"],
            f"INSERT INTO contacts (email, zip_code, birth_date) VALUES ('a@b.co', '75001', '{day}')",
            "UPDATE contacts SET phone_number = '1'",
        )
        run_as(
            urls["email_marketing"],
            "INSERT INTO campaign_types (name) VALUES ('promo')",
            "INSERT INTO campaign_instances (campaign_type, instance_name) VALUES ('promo', 'spring')",
            "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, trigger_date)"
            f" VALUES (1, 1, '{today()}')",
        )
        for _ in range(2):
            plan_and_publish(urls["email_planner"], SchedulerConfig(), today())
        run_as(
            urls["email_sender"],
            "SELECT email FROM due_emails",
            "UPDATE email_schedules SET status = 'processing' WHERE id = 1 AND status = 'pre-scheduled'",
            "UPDATE email_schedules SET status = 'sent', actual_send_datetime = now() WHERE id = 1",
            "INSERT INTO tracking_clicks (contact_id, email_schedule_id) VALUES (1, 1)",
            "INSERT INTO contact_events (contact_id, event_type) VALUES (1, 'eligibility_answered')",
            "INSERT INTO contact_suppressions (contact_id, reason) VALUES (1, 'bounced')",
        )
        run_as(urls["email_reader"], "SELECT status, count(*) FROM email_schedules GROUP BY 1")
        for role, statement in (
            ("email_sender", "SELECT * FROM contacts"),
            ("email_sender", "DELETE FROM email_schedules"),
            ("email_sender", "UPDATE email_schedules SET scheduled_send_date = now()"),
            ("email_crm", "SELECT * FROM email_schedules"),
            ("email_marketing", "UPDATE contacts SET email = ''"),
            ("email_marketing", "UPDATE email_schedules SET status = 'sent'"),
            ("email_reader", "SELECT * FROM contacts"),
            ("email_reader", "UPDATE email_schedules SET status = 'sent'"),
            ("email_reader", "CREATE TABLE mine (id INT)"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run_as(urls[role], statement)


def asked(url: str, query: str) -> Any:
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


@contextmanager
def web_server(directory: Path, service: str) -> Iterator[str]:
    """Run the command of a unit, on a free port."""
    arguments = parsed(units()[service])["Service"]["ExecStart"].split()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    prefix = arguments[arguments.index("--path-prefix") + 1]
    arguments[0] = str(PROGRAMS / Path(arguments[0]).name)
    arguments[arguments.index("--port") + 1] = str(port)
    # what is refused does not depend on what there is to run, and loading it takes a while
    at = arguments.index("--workspace")
    arguments[at : at + 2] = ["--empty-workspace"]
    url = f"http://127.0.0.1:{port}{prefix}"
    with (directory / "log.txt").open("w") as log:
        server = subprocess.Popen(
            arguments,
            cwd=directory,
            env={**os.environ, "DAGSTER_HOME": str(directory), "DAGSTER_DISABLE_TELEMETRY": "yes"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            give_up = time.monotonic() + PATIENCE_SECONDS
            while True:
                try:
                    with urllib.request.urlopen(f"{url}/server_info", timeout=10):
                        break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    assert server.poll() is None, (directory / "log.txt").read_text()
                    assert time.monotonic() < give_up
                    time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def test_the_read_only_server_refuses_to_change_anything(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(dg.job(name="nothing")(lambda: None))
    launch = (
        'mutation { launchRun(executionParams: {selector: {repositoryLocationName: "x", repositoryName: "x",'
        ' jobName: "x"}, runConfigData: {}, mode: "default"}) { __typename } }'
    )
    delete = f'mutation {{ deleteRun(runId: "{run.run_id}") {{ __typename }} }}'
    end = f'mutation {{ terminateRun(runId: "{run.run_id}") {{ ... on TerminateRunFailure {{ message }} }} }}'
    with web_server(tmp_path, "email-scheduler-web-readonly") as url:
        permissions = asked(url, "{ permissions { permission value } }")["permissions"]
        assert len(permissions) > 10
        assert [each["permission"] for each in permissions if each["value"]] == []
        for mutation, name in ((launch, "launchRun"), (delete, "deleteRun")):
            assert asked(url, mutation)[name]["__typename"] == "UnauthorizedError"
        assert "do not have permission" in asked(url, end)["terminateRun"]["message"]
        assert asked(url, "{ runsOrError { ... on Runs { count } } }")["runsOrError"]["count"] == 1


def test_who_may_read_the_view_finds_out_nothing_else_by_it(postgresql_server: Server) -> None:
    """What docs/deployment.md promises: the sender sees the contacts whose emails are due, and no other."""
    leak = (
        "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000000001"
        " AS $$ BEGIN RAISE NOTICE '%', $1; RETURN TRUE; END $$"
    )
    with organisation_with_roles(postgresql_server) as urls:
        run_as(
            urls["email_crm"],
            "INSERT INTO contacts (id, email, zip_code, birth_date)"
            " SELECT id, 'c' || id || '@b.co', '75001', '1950-03-10' FROM generate_series(1, 30) AS id",
        )
        plan_and_publish(urls["email_planner"], SchedulerConfig(), today())
        run_as(
            urls["email_crm"],
            "INSERT INTO contact_suppressions (contact_id) VALUES (1), (2)",
            "UPDATE contacts SET zip_code = '10001' WHERE id = 3",
            "INSERT INTO contacts (id, email) VALUES (31, 'nobody@b.co')",
        )
        with psycopg.connect(server_address(urls["email_sender"])) as connection:
            due = {row[0] for row in connection.execute("SELECT DISTINCT email FROM due_emails")}
            assert len(due) > 10
            assert not due & {"c1@b.co", "c2@b.co", "c3@b.co", "nobody@b.co"}
            told: list[str | None] = []
            connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
            connection.execute(leak)
            connection.execute("SELECT id FROM due_emails WHERE pg_temp.leak(email)")
        assert set(told) == due
