"""What a connection offers on each kind of database: statements of SQLAlchemy, temporary tables, dry runs."""

import subprocess
import sys
from contextlib import ExitStack

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    MetaData,
    Table,
    Text,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    update,
)

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections import opening, read_frame_by_ranges
from email_scheduler.database.connections.column_types import ID, JSON
from email_scheduler.database.connections.opening import connect, connect_side_by_side
from email_scheduler.database.connections.sqlite import SqliteConnection
from email_scheduler.database.tables import campaign_types, contact_campaigns, contacts
from email_scheduler.planning.frames import CONTACTS_TABLE
from email_scheduler_tests.databases import Database, SqliteDatabase

CONFIG = SchedulerConfig()
stage = Table(
    "stage",
    MetaData(),
    Column("line", ID, primary_key=True, autoincrement=False),
    Column("contact_id", ID),
    Column("address", Text),
    Column("is_bad", Boolean),
    Column("metadata", JSON),
    prefixes=["TEMPORARY"],
)


@pytest.fixture
def connection(database: Database):
    with connect(database.url, CONFIG) as connection:
        yield connection


def _fill_stage(connection, rows) -> None:
    with connection.staging():
        connection.create_temporary(stage)
        connection.append_rows(stage, rows)


def _fail(_done: None) -> None:
    raise ZeroDivisionError


def test_statements_of_sqlalchemy_write_and_read(connection) -> None:
    with connection.transaction():
        connection.execute(
            insert(campaign_types).values(
                [{"name": "50% off?", "active": True}, {"name": "plain", "active": False}]
            )
        )
        connection.execute(insert(campaign_types).values(name="other", active=None))
        connection.execute(update(campaign_types).where(campaign_types.c.name == "plain").values(priority=1))
    names = campaign_types.c.name
    query = select(names, campaign_types.c.active, campaign_types.c.priority).order_by(names)
    assert connection.execute(query) == [
        ("50% off?", True, 5),
        ("other", None, 5),
        ("plain", False, 1),
    ]
    assert connection.rows(query.where(names.in_(["plain", "%"]))) == [
        {"name": "plain", "active": False, "priority": 1}
    ]
    assert connection.execute(query.where(names.in_([]))) == []
    assert connection.execute(query.where(names.like("%\\% off?", escape="\\"))) == [("50% off?", True, 5)]
    counted = select(func.count(), exists().where(names == "none"), literal(None, Text()))
    assert connection.execute(counted.select_from(campaign_types)) == [(3, False, None)]
    assert connection.execute(select(case((names == "other", "?"), else_="%s")).order_by(names)) == [
        ("%s",),
        ("?",),
        ("%s",),
    ]
    assert connection.execute(
        text("SELECT name FROM campaign_types WHERE name = :name").bindparams(name="other")
    ) == [("other",)]


def test_flags_are_flags_in_the_database(connection, database: Database) -> None:
    with connection.transaction():
        connection.execute(insert(campaign_types).values(name="a", active=True))
        connection.append_rows(
            campaign_types, [{"name": "b", "active": True}, {"name": "c", "active": False}]
        )
    assert database.query("SELECT name FROM campaign_types WHERE active = TRUE ORDER BY name") == [
        ("a",),
        ("b",),
    ]


def test_changed_rows_are_returned_or_counted(connection) -> None:
    with connection.transaction():
        added = insert(contacts).returning(contacts.c.id)
        ((first,),) = connection.execute(added.values(email="a@example.org"))
        ((second,),) = connection.execute(added.values(email="b@example.org"))
        assert connection.change(update(contacts).values(state="CA")) == 2
        assert connection.change(update(contacts).where(contacts.c.id == 0).values(state="CA")) == 0
        assert connection.change("DELETE FROM contacts WHERE id = ?", (first,)) == 1
        assert connection.change(delete(contacts).where(contacts.c.id == first)) == 0
        assert connection.rows(delete(contacts).returning(contacts.c.id, contacts.c.email)) == [
            {"id": second, "email": "b@example.org"}
        ]
    assert connection.execute(select(contacts.c.id)) == []


def test_text_statements_have_names_of_columns_too(connection) -> None:
    assert connection.rows("SELECT ? AS one, 'a%' AS other", ("x",)) == [{"one": "x", "other": "a%"}]
    assert connection.execute("SELECT 'a%'") == [("a%",)]


def test_a_temporary_table_is_filled_and_joined(connection, database: Database) -> None:
    rows = [
        {"line": 1, "contact_id": 5, "address": None, "is_bad": False, "metadata": None},
        {
            "line": 2,
            "contact_id": None,
            "address": 'a "quoted", text',
            "is_bad": None,
            "metadata": '{"a": 1}',
        },
        {"line": 3, "contact_id": 2**40, "address": "", "is_bad": True, "metadata": None},
    ]
    _fill_stage(connection, rows)
    assert connection.rows(select(stage).order_by(stage.c.line)) == rows
    with connection.transaction():
        connection.append_rows(stage, [{"line": 4, "address": "d"}])
        connection.append_rows(stage, [])
        taken = select(stage.c.contact_id).where(stage.c.contact_id.is_not(None))
        connection.execute(insert(contact_campaigns).from_select(["contact_id"], taken))
    assert connection.execute(select(func.count()).select_from(stage)) == [(4,)]
    assert database.query("SELECT contact_id FROM contact_campaigns ORDER BY contact_id") == [(5,), (2**40,)]


def test_what_failed_while_staging_is_gone(connection) -> None:
    with pytest.raises(ZeroDivisionError), connection.staging():
        _fail(connection.create_temporary(stage))
    _fill_stage(connection, [{"line": 1}])
    assert connection.execute(select(stage.c.line)) == [(1,)]


def test_staging_keeps_nobody_from_writing(connection, database: Database) -> None:
    with connection.staging():
        connection.create_temporary(stage)
        connection.append_rows(stage, [{"line": 1}])
        script = f"""
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.connections import opening, read_frame_by_ranges
from email_scheduler.database.connections.opening import connect, connect_side_by_side
from email_scheduler.database.connections.sqlite import SqliteConnection
from email_scheduler.planning.frames import CONTACTS_TABLE
with connect({database.url!r}, SchedulerConfig()) as connection, connection.transaction():
    connection.execute("INSERT INTO contacts (id) VALUES (7)")
"""
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
        connection.append_rows(stage, [{"line": 2}])
    with connection.transaction():
        assert connection.execute(select(contacts.c.id)) == [(7,)]
        assert connection.execute(select(func.count()).select_from(stage)) == [(2,)]


def test_a_dry_run_takes_everything_back_without_an_error(connection) -> None:
    _fill_stage(connection, [{"line": 1}])
    with connection.transaction(is_dry_run=True):
        connection.execute(insert(contacts).values(id=1))
        connection.execute(delete(stage))
        assert connection.execute(select(contacts.c.id)) == [(1,)]
    assert connection.execute(select(contacts.c.id)) == []
    assert connection.execute(select(stage.c.line)) == [(1,)]
    with connection.transaction():
        connection.execute(insert(contacts).values(id=2))
    assert connection.execute(select(contacts.c.id)) == [(2,)]


def test_a_text_may_come_after_thousands_of_rows_without_one(connection) -> None:
    rows = [{"line": line, "address": None} for line in range(5000)]
    _fill_stage(connection, [*rows, {"line": 5000, "address": "late"}])
    assert connection.execute(select(stage.c.line, stage.c.address).order_by(stage.c.line))[-1] == (
        5000,
        "late",
    )


def test_connections_side_by_side_read_one_moment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "THREADS", 4)
    database.insert("contacts", *({"id": number} for number in range(1, 11)))
    with (
        connect_side_by_side(database.url, CONFIG, lambda _: True) as connections,
        # not over another copy of SQLite, which does not know that the file is in use
        connect(database.url, CONFIG) as writer,
    ):
        assert len(connections) == 4
        with writer.transaction():
            writer.execute("INSERT INTO contacts (id) VALUES (11)")
        assert [each.execute("SELECT count(*) FROM contacts") for each in connections] == [[(10,)]] * 4
        rows = read_frame_by_ranges(connections, CONTACTS_TABLE, "contacts", "contacts WHERE {}".format)
    assert rows["id"].tolist() == list(range(1, 11))


def test_a_file_that_is_written_to_all_the_time_is_read_over_one_connection(
    sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "THREADS", 2)
    numbers = iter(range(1, 1_000))
    end_reading = SqliteConnection.end_reading
    with connect(sqlite_database.url, CONFIG) as writer:

        def write_meanwhile(connection: SqliteConnection) -> None:
            end_reading(connection)
            with writer.transaction():
                writer.execute(f"INSERT INTO contacts (id) VALUES ({next(numbers)})")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteConnection, "end_reading", write_meanwhile)
            with connect_side_by_side(sqlite_database.url, CONFIG, lambda _: True) as connections:
                assert len(connections) == 1
                ((there,),) = connections[0].execute("SELECT count(*) FROM contacts")
    assert 20 <= there <= 100


@pytest.mark.parametrize(
    "ids", [[], [None], [7], [None, 1, 2, None, 3], [-(2**63), 0, 2**63 - 1], ["b", "a", None], [1, "2", 10]]
)
def test_each_row_is_in_one_range_whatever_its_id(sqlite_database: SqliteDatabase, ids: list[object]) -> None:
    sqlite_database.run("CREATE TABLE things (id, email, zip_code, state, birth_date)")
    sqlite_database.run("ALTER TABLE things ADD effective_date; ALTER TABLE things ADD phone_number")
    sqlite_database.insert("things", *({"id": each, "email": str(n)} for n, each in enumerate(ids)))
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(sqlite_database.url, CONFIG)) for _ in range(3)]
        rows = read_frame_by_ranges(connections, CONTACTS_TABLE, "things", "things WHERE {}".format)
    assert sorted(rows["email"].astype("str")) == [str(number) for number in range(len(ids))]


def test_statements_of_sqlalchemy_do_not_load_the_other_copy_of_sqlite(
    sqlite_database: SqliteDatabase,
) -> None:
    script = f"""
import sys
from sqlalchemy import select
from email_scheduler.database.connections.sqlite import connect_sqlite
from email_scheduler.database.tables import contacts
from email_scheduler.config.schema import SchedulerConfig
with connect_sqlite({sqlite_database.url!r}, SchedulerConfig().database) as connection:
    connection.execute(select(contacts))
sys.exit("_sqlite3" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
