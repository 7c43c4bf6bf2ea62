"""Two organisations with one database are refused, by what their URLs mean."""

import os
from itertools import combinations
from pathlib import Path

import psycopg
import pytest

from email_scheduler.config.loader import load_organizations
from email_scheduler.database.connections.faults import database_path, server_address
from email_scheduler.definitions import build_definitions
from email_scheduler.errors import ConfigurationError

SERVER = "postgresql+psycopg://"


def problems(directory: Path, *entries: dict[str, str]) -> list[str]:
    """Return what is said of organisations a, b, c ... with these entries; each is one line."""
    lines = ["organizations:"]
    for name, entry in zip("abcdef", entries, strict=False):
        lines += [f"  {name}:", *(f'    {key}: "{value}"' for key, value in entry.items())]
    (directory / "organizations.yaml").write_text("\n".join(lines) + "\n")
    try:
        load_organizations(directory)
    except ConfigurationError as error:
        return str(error).splitlines()
    return []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("is_there", [True, False])
def test_one_file_by_whichever_path_is_one_database(here: Path, is_there: bool) -> None:
    (here / "data").mkdir()
    (here / "other").symlink_to(here / "data")
    file = here / "data" / "agency one.db"
    urls = [
        "sqlite:///data/agency%20one.db",
        "sqlite+pysqlite:///data/agency%20one.db",
        "sqlite:///./data/../data//agency%20one.db",
        f"sqlite:///{here}/data/agency%20one.db",
        "sqlite:///other/agency%20one.db",
        f"sqlite:///{os.path.relpath(here, Path.home())}/data/agency%20one.db".replace("///", "///~/"),
    ]
    if is_there:
        file.touch()
        (here / "link.db").symlink_to(file)
        (here / "second-name.db").hardlink_to(file)
        urls += ["sqlite:///link.db", "sqlite:///second-name.db"]
    for one, other in combinations(urls, 2):
        [line] = problems(here, {"database": one}, {"database": other})
        assert line.startswith(
            f"{here}/organizations.yaml: organizations.b.database: means the file {here}/"
        ), (one, other)
        assert line.endswith(
            ", as organizations.a.database does: accepted is a database of its own for each organisation"
        )
    # the check reads a path as the database layer does
    files = {database_path(url) for url in urls}
    assert {path for path in files if path.name != "second-name.db"} == {file}


def test_different_files_and_databases_are_nobody_elses(here: Path) -> None:
    entries = [
        {"database": "sqlite:///a.db"},
        {"database": "sqlite:///A.db"},
        {"database": f"{SERVER}planner:pw@h/a"},
        {"database": f"{SERVER}planner:pw@h/A"},
        {"database": f"{SERVER}planner:pw@h:5433/a"},
        {"database": f"{SERVER}planner:pw@other/a"},
    ]
    assert problems(here, *entries) == []


ONE_REMOTE = [
    f"{SERVER}planner@db.example.com/agency",
    f"{SERVER}another:secret@db.example.com:5432/agency",
    f"{SERVER}p:w/x#y?z@DB.Example.COM./agency",
    f"{SERVER}db.example.com/%61gency?sslmode=require&connect_timeout=3",
    f"{SERVER}/agency?host=db.example.com&port=5432",
    f"{SERVER}elsewhere:5433/agency?host=db.example.com&port=5432",
    f"{SERVER}db.example.com/nothing?dbname=agency",
    f"{SERVER}standby.example.com,db.example.com/agency",
    f"{SERVER}db.example.com/agency?options=-csearch_path%3Dnorth",
]
ONE_HERE = [
    f"{SERVER}localhost/agency",
    f"{SERVER}LOCALHOST:5432/agency",
    f"{SERVER}127.0.0.1/agency",
    f"{SERVER}127.0.1.1:5432/agency",
    f"{SERVER}[::1]/agency",
    f"{SERVER}[0:0:0:0:0:0:0:1]:5432/agency",
    f"{SERVER}[::ffff:127.0.0.1]/agency",
    f"{SERVER}0.0.0.0/agency",
    f"{SERVER}/agency",
    f"{SERVER}planner@/agency",
    f"{SERVER}/agency?host=/var/run/postgresql",
    f"{SERVER}/agency?host=%2Ftmp",
    f"{SERVER}db.example.com/agency?hostaddr=127.0.0.1",
]


@pytest.mark.parametrize("urls", [ONE_REMOTE, ONE_HERE], ids=["remote", "here"])
def test_one_database_of_a_server_by_whichever_url_is_one_database(here: Path, urls: list[str]) -> None:
    host = "db.example.com" if urls is ONE_REMOTE else "localhost"
    for one, other in combinations(urls, 2):
        found = problems(here, {"database": one}, {"database": other})
        assert len(found) == 1, (one, other)
        assert (
            f"organizations.b.database: means the database agency of the server {host}:5432, as" in found[0]
        )
        assert "secret" not in found[0]
        assert "planner" not in found[0]


@pytest.mark.parametrize("url", [*ONE_REMOTE, *ONE_HERE])
def test_what_a_url_means_is_what_the_server_s_own_library_takes_it_for(url: str) -> None:
    # a name that only the query says is refused when the database is opened
    if "dbname=" not in url:
        assert psycopg.conninfo.conninfo_to_dict(server_address(url))["dbname"] == "agency"


def test_a_port_that_is_not_said_is_the_one_of_the_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"database": f"{SERVER}/agency"}, {"database": f"{SERVER}h:5433/agency"}
    assert problems(here, *entries) == []
    monkeypatch.setenv("PGHOST", "h")
    monkeypatch.setenv("PGPORT", "5433")
    assert "the database agency of the server h:5433" in problems(here, *entries)[0]


def test_services_are_told_apart_by_their_names(here: Path) -> None:
    one, other = ({"database": f"{SERVER}/agency?service={name}"} for name in ("north", "south"))
    assert problems(here, one, other) == []
    assert len(problems(here, one, one)) == 1


def test_a_url_of_the_environment_counts_where_the_variable_is_set(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"database": "sqlite:///a.db"}, {"database_env": "SOUTH_DATABASE"}
    for text in (None, "", "nonsense", "mysql://h/a", "sqlite:///:memory:", "sqlite:///b.db"):
        if text is not None:
            monkeypatch.setenv("SOUTH_DATABASE", text)
        assert problems(here, *entries) == []
    monkeypatch.setenv("SOUTH_DATABASE", "sqlite:///./a.db")
    [line] = problems(here, *entries)
    assert f"organizations.b.database_env: means the file {here}/a.db, as organizations.a.database" in line


def test_a_copy_may_be_of_the_own_database_only(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main, copy = "sqlite:///a.db", "sqlite:///copy.db"
    assert problems(here, {"database": main, "replica": copy}, {"database": "sqlite:///b.db"}) == []
    assert problems(here, {"database": main, "replica": main}) == []
    monkeypatch.setenv("COPY", copy)
    for second, option in (
        ({"database": copy}, "database"),
        ({"database": "sqlite:///b.db", "replica": copy}, "replica"),
        ({"database": "sqlite:///b.db", "replica_env": "COPY"}, "replica_env"),
    ):
        [line] = problems(here, {"database": main, "replica": copy}, second)
        assert f"organizations.b.{option}: means the file {here}/copy.db" in line
        assert "as organizations.a.replica does" in line


def test_each_of_several_is_named_with_the_first_that_has_the_database(here: Path) -> None:
    one, other = {"database": "sqlite:///a.db"}, {"database": "sqlite:///b.db"}
    found = problems(here, one, other, one, other, one)
    named = [line.split("organizations.yaml: ")[1].split(":")[0] for line in found]
    assert named == ["organizations.c.database", "organizations.d.database", "organizations.e.database"]
    assert ["organizations.a." in line for line in found] == [True, False, True]


def test_dagster_does_not_load_organisations_that_share_a_database(here: Path) -> None:
    (here / "scheduler.yaml").write_text("features: {enable_sms: false}\n")
    assert problems(here, {"database": "sqlite:///a.db"}, {"database": "sqlite:///./a.db"})
    with pytest.raises(ConfigurationError, match=r"organizations\.b\.database: means the file"):
        build_definitions(here)
