"""Daemon and UI killed and started again, and the configuration broken under a running daemon."""

import json
import socket
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import today
from email_scheduler.orchestration.alerts import ALERTS_SENSOR
from email_scheduler.orchestration.sensors import CHANGES_SENSOR, MISSED_SENSOR
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.dagster_private import InstigatorTick
from email_scheduler_tests.dagster_project import Project, project, wait
from email_scheduler_tests.faults.report import only_by_make_faults, record, repetitions
from email_scheduler_tests.integration.dagster_organizations import ORGANIZATIONS, settings_of
from email_scheduler_tests.integration.test_delivery import WebServer

NORTH, SOUTH = ORGANIZATIONS
# Of a run that had begun, and of one that had not yet.
WHY_IT_FAILED = ("nor the code server that started it is there", "seconds to start")
# The daemon notices the same things, only sooner.
SOONER = {
    "poll_interval_seconds: 60": "poll_interval_seconds: 5",
    "start_timeout_seconds: 180": "start_timeout_seconds: 60",
}


@only_by_make_faults
def test_after_everything_was_killed_a_run_under_way_is_ended_and_the_plan_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    seconds: list[float] = []
    with planned_project(tmp_path) as made:
        for attempt in range(1, 1 + repetitions(3, 1)):
            made.start_daemon()
            start_ui(made)
            for name in ORGANIZATIONS:
                change(made, name, f"template_{attempt}")
            before = {run.run_id for run in made.plan_runs() if run.is_finished}
            wait(lambda before=before: under_way(made, before), "a run is under way")
            killed = made.kill()
            assert killed >= 4
            stuck = [run for run in made.plan_runs() if not run.is_finished]
            assert stuck
            cursor = remembered(made, CHANGES_SENSOR)
            made.start_daemon()
            ui = start_ui(made)
            seconds.append(
                wait(lambda attempt=attempt: all(is_planned(made, name) for name in ORGANIZATIONS), "planned")
            )
            wait(made.have_ended, "the runs end")
            # what was asked for is still known: each run of this attempt is another request
            keys = [run.tags["dagster/run_key"] for run in made.plan_runs()]
            assert len(set(keys)) == len(keys)
            asked = {str(each.get("requested")) for each in cursor["organizations"].values()}
            assert all(any(change in key for key in keys) for change in asked)
            runs = {run.run_id: run for run in made.plan_runs()}
            for run in stuck:
                if runs[run.run_id].status == dg.DagsterRunStatus.FAILURE:
                    assert any(reason in made.messages(run.run_id) for reason in WHY_IT_FAILED)
            assert answers(ui)
            assert made.differences(NORTH, today())[0] == made.differences(SOUTH, today())[0] == 0
            made.kill()
    record(
        "daemon, UI, code server and run worker killed (`kill -9`) and started again",
        "a run that was under way is marked as failed with the reason, a queued one is made, and the"
        " sensor asks for what is missing: the plan is made, cursors survive",
        f"{len(seconds)} times: campaigns of two organisations changed, everything killed while a run was"
        " under way, started again (run monitoring every 5 seconds, 60 seconds to start a run)",
        f"{len(seconds)} of {len(seconds)} times both tables were the plan made afresh, at the latest"
        f" {max(seconds):.0f} seconds after the start; no run left open",
    )


@only_by_make_faults
def test_the_daemon_killed_while_a_missed_plan_is_made_makes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    with project(tmp_path, orchestration='  daily_plan_time: "00:00"\n') as made:
        daemon = made.start_daemon()
        wait(lambda: under_way(made, set()), "the missed plan is under way")
        daemon.kill()
        daemon.wait(60)
        made.start_daemon()
        wait(lambda: all(made.checkpoints(name) for name in ORGANIZATIONS), "both are planned")
        wait(made.have_ended, "the runs end")
        looks = len(ticks(made, MISSED_SENSOR))
        wait(lambda: len(ticks(made, MISSED_SENSOR)) > looks + 1, "the sensor looks twice more")
        runs = made.plan_runs()
        assert sorted(run.tags["organization"] for run in runs) == sorted(ORGANIZATIONS)
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert [len(made.checkpoints(name)) for name in ORGANIZATIONS] == [1, 1]
    record(
        "the daemon killed while a plan that was missed is made",
        "the run goes on, the queued one follows, and today's plan is made once",
        "killed with the first run under way, started again, waited for two more looks of `missed_plans`",
        "one run and one plan for each organisation",
    )


@only_by_make_faults
def test_a_configuration_broken_under_a_running_daemon_is_named_and_its_repair_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    breakages = {
        "invalid YAML": ("scheduler.yaml", lambda text: text + "features: [\n", "not valid YAML"),
        "an unknown key": ("scheduler.yaml", lambda text: text + "featurs: {}\n", "featurs"),
        "an organisation removed": (
            "organizations.yaml",
            lambda text: text.replace(f"  {NORTH}:\n    database: sqlite:///{tmp_path / NORTH}.db\n", ""),
            f"no organisation {NORTH}",
        ),
    }
    seconds = []
    with planned_project(tmp_path) as made:
        made.start_daemon()
        wait(lambda: len(ticks(made, CHANGES_SENSOR)) > 0, "the sensor looks")
        for attempt, (what, (name, damage, expected)) in enumerate(breakages.items()):
            file = made.config / name
            whole = file.read_text()
            file.write_text(damage(whole))
            for organization in ORGANIZATIONS:
                change(made, organization, f"template_{attempt}")
            wait(lambda expected=expected: expected in last_reason(made), f"{what} is named")
            assert f"{NORTH} could not be looked at" in last_reason(made)
            if what == "an organisation removed":
                wait(lambda: is_planned(made, SOUTH), "the other organisation is planned")
            assert not is_planned(made, NORTH)
            file.write_text(whole)
            seconds.append(
                wait(lambda: all(is_planned(made, name) for name in ORGANIZATIONS), f"{what} is mended")
            )
            wait(made.have_ended, "the runs end")
        assert {run.status for run in made.plan_runs()} == {dg.DagsterRunStatus.SUCCESS}
        # a daemon that is started over a broken configuration takes the repair up as well
        made.kill()
        file = made.config / "scheduler.yaml"
        whole = file.read_text()
        file.write_text(whole + "features: [\n")
        made.start_daemon()
        wait(lambda: "not valid YAML" in made.log.read_text(), "the daemon names the file")
        change(made, NORTH, "after_the_start")
        file.write_text(whole)
        seconds.append(wait(lambda: is_planned(made, NORTH), "the daemon takes the repair up"))
    record(
        "the configuration broken while the daemon runs: " + ", ".join(breakages),
        "the sensors name file and error; plans of before stay, other organisations are planned; the repaired"
        " file is taken up without a restart",
        f"{len(breakages)} breakages under a real daemon, and a daemon started over a broken file",
        f"each named in the sensor's reason; planned at the latest {max(seconds[:-1]):.0f} seconds after the"
        f" repair, and {seconds[-1]:.0f} seconds after it when the daemon was started over the broken file",
    )


@only_by_make_faults
def test_what_was_told_before_the_daemon_was_killed_is_not_told_again_and_what_was_not_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    server, kills = WebServer(status=500), 0
    missed = {f"{name}: no plan of {today()} by 00:00" for name in ORGANIZATIONS}
    # nothing is planned by itself, so that the plan of today is missed
    with server.running() as hook, project(tmp_path, orchestration='  daily_plan_time: "23:59"\n') as made:
        settings = made.config / "scheduler.yaml"
        alerts = f'alerts:\n  plan_deadline: "00:00"\n  webhook:\n    url: {hook}\n'
        settings.write_text(settings.read_text() + alerts)

        def told() -> list[tuple[str, bool]]:
            return [(each["title"], each["is_resolved"]) for post in server.posts for each in post["notices"]]

        def kill_and_start() -> None:
            nonlocal kills
            if made.processes:
                made.kill()
                kills += 1
            made.start_daemon()
            looks = len(ticks(made, ALERTS_SENSOR))
            wait(lambda: len(ticks(made, ALERTS_SENSOR)) > looks + 1, "the sensor looks twice")

        kill_and_start()
        assert set(told()) == {(title, False) for title in missed}
        # nobody took it: a daemon that was started again tells it
        server.posts.clear()
        server.status = 200
        kill_and_start()
        assert sorted(told()) == sorted((title, False) for title in missed)
        for _ in range(2):
            kill_and_start()
        assert sorted(told()) == sorted((title, False) for title in missed)
        for name in ORGANIZATIONS:
            plan_and_publish(*settings_of(made.config, name), today())
        server.posts.clear()
        for _ in range(2):
            kill_and_start()
        assert sorted(told()) == sorted((title, True) for title in missed)
    record(
        "the daemon killed and started again while incidents are open",
        "each incident is told once, and told to be over once; what nobody took is told again",
        f"{kills} kills between the looks of `alerts`, over a webhook that refused at first",
        "two missed plans, each told once and resolved once",
    )


@contextmanager
def planned_project(directory: Path) -> Iterator[Project]:
    """Make a project whose organisations have a plan of today."""
    with project(directory) as made:
        settings = directory / "home" / "dagster.yaml"
        for usual, sooner in SOONER.items():
            assert usual in settings.read_text()
            settings.write_text(settings.read_text().replace(usual, sooner))
        for name in ORGANIZATIONS:
            plan_and_publish(*settings_of(made.config, name), today())
        yield made


def change(made: Project, organization: str, template: str) -> None:
    path = made.url(organization).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("UPDATE campaign_instances SET email_template = ? WHERE id = 1", (template,))


def is_planned(made: Project, organization: str) -> bool:
    """Tell whether a plan has taken all changes into account."""
    path = made.url(organization).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        ((pending,),) = connection.execute(
            "SELECT count(*) FROM campaign_change_log WHERE processed_run_id IS NULL"
        ).fetchall()
    return pending == 0


def under_way(made: Project, before: set[str]) -> bool:
    """Tell whether a run has begun a step."""
    started = made.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return any(
        made.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
        for run in started
        if run.run_id not in before
    )


def ticks(made: Project, sensor: str) -> list[InstigatorTick]:
    return [
        tick
        for state in made.instance.all_instigator_state()
        if state.instigator_name == sensor
        for tick in made.instance.get_ticks(state.instigator_origin_id, state.selector_id)
    ]


def last_reason(made: Project) -> str:
    found = ticks(made, CHANGES_SENSOR)
    return (found[0].skip_reason or "") if found else ""


def remembered(made: Project, sensor: str) -> dict[str, dict[str, object]]:
    (state,) = [each for each in made.instance.all_instigator_state() if each.instigator_name == sensor]
    return json.loads(state.instigator_data.cursor)


def start_ui(made: Project) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made.start("dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port))
    url = f"http://127.0.0.1:{port}"
    wait(lambda: answers(url), "the UI answers")
    return url


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/server_info", timeout=10) as answer:
        return answer.status == 200
    return False
