"""Whatever stands where a database URL should: it is taken, or refused in our words and without a secret."""

import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from email_scheduler.config import SchedulerConfig, display_url, url_problem
from email_scheduler.config.organizations import Organization, shared_databases
from email_scheduler.database.connections.faults import (
    SQLITE,
    backend_of,
    database_errors,
    database_path,
    existing_database,
    is_unreachable,
    retrying,
    server_address,
)
from email_scheduler.database.connections.opening import connect
from email_scheduler.errors import ConfigurationError, DatabaseError
from email_scheduler_tests.hostile_urls import HOSTILE_URLS, SECRET, SERVER, make_loop

some = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CONFIG = SchedulerConfig()
pieces = st.sampled_from(
    [
        *(
            "sqlite:///",
            "sqlite://",
            "sqlite+pysqlite:///",
            SERVER,
            "postgresql://",
            "mysql://",
            "://",
            "@",
            ":",
        ),
        *(
            "/",
            "?",
            "#",
            "[",
            "]",
            "[::1]",
            "[fe80::1%25e]",
            ",",
            "&",
            "=",
            "%",
            "%00",
            "%40",
            "%zz",
            " ",
            "~",
        ),
        *(
            "\x00",
            "\x1b",
            "\udc80",
            "\u0665",
            "5432",
            "99999",
            "0",
            "-1",
            "1_0",
            "host=",
            "port=",
            "password=",
        ),
        *("sslmode=", "dbname=", "service=", "h", "u", "db", "..", ".", "~nouser", "x" * 300, SECRET),
    ]
)
texts = st.lists(pieces, max_size=12).map("".join) | st.text(max_size=40)
# of what people put into passwords, above all what is cut elsewhere
passwords = st.text(st.sampled_from("aS1@:/?#[]%&=,.+ \x1b\u00e9"), max_size=12)


def refused(url: str) -> str:
    """Use a URL as everything does; return what is said against it, empty where it is taken."""
    try:
        if backend_of(url) == SQLITE:
            database_path(url)
        else:
            psycopg.conninfo.conninfo_to_dict(server_address(url))
    except DatabaseError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused_in_one_line_that_shows_no_secret(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_loop(tmp_path)
    said = refused(url)
    assert "accepted" in said
    assert "\n" not in said
    assert SECRET not in said
    assert said.isprintable()
    with pytest.raises(DatabaseError), connect(url, CONFIG):
        pass


@some
@given(texts)
def test_whatever_the_text_is_it_is_taken_or_refused_and_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused(text)
    assert display_url(text).isprintable() or "://" not in text
    if url_problem(text) is not None:
        assert said
    elif make_url(text).get_backend_name() == SQLITE:
        with pytest.raises(DatabaseError):
            existing_database(text)
    organization = Organization("north", "organizations.yaml", database=text)
    assert list(shared_databases([organization])) == []
    with suppress(ConfigurationError):
        assert organization.database_url() == text


@some
@given(
    passwords,
    passwords,
    st.sampled_from(["127.0.0.1", "127.0.0.1:5432", "h:x", "[::1]", "[::1", "h1:1,h2:2", ""]),
    st.sampled_from(["", "?sslmode=require", "?password=SECRET", "?pasword=SECRET", "?SECRET", "?SECRET=1"]),
    st.sampled_from([SERVER, "postgresql://", "mysql://"]),
)
def test_a_password_is_shown_by_nothing_however_it_is_written(
    before: str, after: str, host: str, parameters: str, scheme: str
) -> None:
    url = f"{scheme}user:{before}{SECRET}{after}@{host}/db{parameters}"
    assert SECRET not in display_url(url)
    assert SECRET not in refused(url)


def test_a_url_that_reads_cleanly_says_which_database_it_means() -> None:
    assert display_url(f"{SERVER}u:p@h:5433/db") == f"{SERVER}u:***@h:5433/db"
    assert display_url(f"{SERVER}[::1]/db?sslmode=require&options=-cx") == f"{SERVER}[::1]/db?sslmode=require"
    assert display_url(f"{SERVER}/db?host=/tmp&password=x") == f"{SERVER}/db?host=/tmp"
    assert display_url("sqlite:////srv/a b@c.db") == "sqlite:////srv/a b@c.db"


@pytest.mark.parametrize("parameter", ["port=1,2,3", "sslmode=nonsense", "service=nobody_s"])
def test_what_the_server_s_library_refuses_by_itself_is_not_tried_again(parameter: str) -> None:
    tries = []

    def look() -> None:
        tries.append(1)
        with connect(f"{SERVER}127.0.0.1/db?{parameter}", CONFIG):
            pass

    with pytest.raises(psycopg.OperationalError) as raised:
        retrying(CONFIG)(look)
    assert len(tries) == 1
    assert not is_unreachable(raised.value)


def test_a_port_of_the_environment_that_is_none_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "99999")
    began = time.monotonic()

    def look() -> None:
        with connect(f"{SERVER}127.0.0.1/db", CONFIG):
            pass

    with pytest.raises(psycopg.OperationalError, match="port"):
        retrying(CONFIG)(look)
    assert time.monotonic() - began < 2


def test_a_value_that_the_servers_own_library_repeats_is_not_shown() -> None:
    url = f"{SERVER}u@127.0.0.1/db?keepalives={SECRET}"
    assert url_problem(url) is None
    with (
        pytest.raises(DatabaseError, match=r'\(not shown\) for connection option "keepalives"') as found,
        database_errors(url),
        connect(url, SchedulerConfig()),
    ):
        pass
    assert SECRET not in str(found.value)
