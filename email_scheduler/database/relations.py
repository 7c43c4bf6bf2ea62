"""What stands under the names of the tables, and whether it is accepted.

All of them have to be tables, of PostgreSQL also partitioned ones. In the place of ``contacts``, which
belongs to somebody else, a view, a materialized view or a foreign table is accepted as well: it is read as a
table is, and has neither triggers nor indexes.
"""

# ruff: noqa: S608 - put together from names of this package

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint

from email_scheduler.database.connections import POSTGRESQL, Connection
from email_scheduler.database.tables import contacts, metadata
from email_scheduler.planning import CONTACTS_TABLE

# Runs SQL without parameters and returns its rows: init-db and all others have connections of their own.
Run = Callable[[str], Iterable[Sequence[Any]]]

# Not alembic_version: the database may belong to a program that has migrations of its own.
VERSION_TABLE: Final = "email_scheduler_version"
DUE_EMAILS: Final = "due_emails"
TABLE: Final = "table"
PARTITIONED: Final = "partitioned table"
VIEW: Final = "view"
_TABLES: Final = {"sqlite": (TABLE,), POSTGRESQL: (TABLE, PARTITIONED)}
_CONTACTS: Final = {
    "sqlite": (TABLE, VIEW),
    POSTGRESQL: (TABLE, PARTITIONED, VIEW, "materialized view", "foreign table"),
}
_NAMES: Final = (*metadata.tables, VERSION_TABLE, DUE_EMAILS)
_NAMES_SQL: Final = ", ".join(f"'{name}'" for name in _NAMES)
_IN_SCHEMA: Final = "JOIN pg_namespace AS schema ON schema.nspname = current_schema() AND schema.oid ="
_KINDS_SQL: Final = {
    "sqlite": f"""
SELECT lower(name), CASE WHEN lower(substr(sql, 1, 14)) = 'create virtual' THEN 'virtual table' ELSE type END
FROM sqlite_master WHERE type IN ('table', 'view', 'index') AND lower(name) IN ({_NAMES_SQL})""",
    POSTGRESQL: f"""
SELECT relname, CASE relkind WHEN 'r' THEN '{TABLE}' WHEN 'p' THEN '{PARTITIONED}' WHEN 'v' THEN '{VIEW}'
  WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
  WHEN 'c' THEN 'type' ELSE 'index' END
FROM pg_class {_IN_SCHEMA} relnamespace WHERE relname IN ({_NAMES_SQL})
UNION ALL SELECT typname, 'type' FROM pg_type {_IN_SCHEMA} typnamespace
WHERE typrelid = 0 AND typname IN ({_NAMES_SQL})""",
}
# name, type, and whether SQL takes the column for a number or for a text
_COLUMNS_SQL: Final = {
    "sqlite": "SELECT lower(name), type, 1, 1 FROM pragma_table_xinfo('contacts')",
    POSTGRESQL: f"""
SELECT attname, format_type(atttypid, atttypmod), typcategory = 'N', typcategory = 'S'
FROM pg_class {_IN_SCHEMA} relnamespace JOIN pg_attribute ON attrelid = pg_class.oid
JOIN pg_type ON pg_type.oid = atttypid
WHERE relname = 'contacts' AND attnum > 0 AND NOT attisdropped""",
}
# a key may be an expression, which has no column
_PARTITIONS_SQL: Final = f"""
SELECT relname, coalesce(attname, 'an expression')
FROM pg_partitioned_table JOIN pg_class ON pg_class.oid = partrelid {_IN_SCHEMA} relnamespace
CROSS JOIN unnest(CAST(partattrs AS int2[])) AS key (number)
LEFT JOIN pg_attribute ON attrelid = partrelid AND attnum = key.number AND attnum > 0
WHERE relname IN ({_NAMES_SQL}) ORDER BY 1, 2"""
# a server lets no foreign key lead to a view
_REFERENCES_SQL: Final = f"""
SELECT DISTINCT referring.name FROM sqlite_master AS referring
JOIN pragma_foreign_key_list(referring.name) AS reference ON lower(reference."table") = 'contacts'
WHERE referring.type = 'table' AND lower(referring.name) IN ({_NAMES_SQL}) ORDER BY 1"""
_READ: Final = tuple(CONTACTS_TABLE.columns)


@dataclass(frozen=True)
class Relations:
    """What stands under the names of the tables.

    Attributes:
        kinds: By name, what it is: ``TABLE``, ``PARTITIONED``, ``VIEW`` or another word.
        columns: Of ``contacts``, each with its type.
        not_accepted: What is not accepted, a sentence each.
    """

    kinds: Mapping[str, str]
    columns: Mapping[str, str]
    not_accepted: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, dialect_name: str) -> "Relations":
        """Look at a database."""
        kinds = {str(name): str(kind) for name, kind in run(_KINDS_SQL[dialect_name])}
        columns = list(run(_COLUMNS_SQL[dialect_name])) if contacts.name in kinds else []
        kind = kinds.get(contacts.name, TABLE)
        problems = [*_in_the_way(kinds, dialect_name)]
        if kind in _CONTACTS[dialect_name]:
            problems += _unreadable(kind, columns)
        types = {str(name): str(type_name) for name, type_name, *_ in columns}
        return cls(kinds, types, tuple(problems))

    @property
    def contacts(self) -> str:
        """What ``contacts`` is; a table where it is not there yet."""
        return self.kinds.get(contacts.name, TABLE)


def contacts_kind(connection: Connection) -> str:
    """Return what ``contacts`` is: ``TABLE``, ``PARTITIONED``, or another word for what bears no triggers."""
    kinds = {name: str(kind) for name, kind in connection.execute(_KINDS_SQL[connection.dialect.name])}
    return kinds.get(contacts.name, TABLE)


def is_table(kind: str) -> bool:
    """Tell whether something bears triggers and indexes."""
    return kind in {TABLE, PARTITIONED}


def shared_ids(run: Run) -> int:
    """Return how many ids of ``contacts`` more than one row has; a key of a table sees to that by itself."""
    ((count,),) = run(
        "SELECT count(*) FROM (SELECT id FROM contacts WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1)"
        " AS shared"
    )
    return int(count)


def references_to_a_view(run: Run) -> Iterator[str]:
    """Yield the tables of SQLite with a foreign key to ``contacts``, which is a view, a sentence each.

    SQLite takes no row for them, whatever it holds.
    """
    for (name,) in run(_REFERENCES_SQL):
        yield (
            f"{name} has a foreign key to contacts, which is a view, so that no row can be written there;"
            " accepted is a table without it"
        )


def unsuitable_partitions(run: Run) -> Iterator[str]:
    """Yield the partitioned tables of PostgreSQL that cannot have the keys that they need, a sentence each.

    What is unique there holds the columns by which the table is partitioned.
    """
    keys: dict[str, list[str]] = {}
    for name, column in run(_PARTITIONS_SQL):
        keys.setdefault(str(name), []).append(str(column))
    for name, columns in keys.items():
        # contacts goes without a key then
        if name == contacts.name or name not in metadata.tables:
            continue
        wanted = _unique_columns(name)
        if wanted is not None and not wanted.issuperset(columns):
            also = f", or one that is partitioned by {', '.join(sorted(wanted))}" if wanted else ""
            yield f"{name} is partitioned by {', '.join(columns)}; accepted is a plain table{also}"


def _unique_columns(table_name: str) -> set[str] | None:
    """Return the columns that all keys of a table hold; None where it has no key."""
    table = metadata.tables[table_name]
    keys = [
        {column.name for column in constraint.columns}
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint) and len(constraint.columns)
    ]
    keys += [{str(each) for each in index.expressions} for index in table.indexes if index.unique]
    return set.intersection(*keys) if keys else None


def _in_the_way(kinds: Mapping[str, str], dialect_name: str) -> Iterator[str]:
    for name, kind in sorted(kinds.items()):
        accepted = _TABLES[dialect_name]
        if name == contacts.name:
            accepted = _CONTACTS[dialect_name]
        elif name == DUE_EMAILS:
            accepted = (VIEW,)
        if kind not in accepted:
            article = "an" if kind == "index" else "a"
            *some, last = (f"a {each}" for each in accepted)
            yield f"{name} is {article} {kind}; accepted is {', '.join(some)}{' or ' * bool(some)}{last}"


def _unreadable(kind: str, columns: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield what keeps ``contacts`` from being read; only a table gets the columns that it lacks."""
    names = {name for name, *_ in columns}
    if columns and not is_table(kind) and (missing := [name for name in _READ if name not in names]):
        yield (
            f"contacts is a {kind} without {', '.join(missing)}; accepted is one with the columns"
            f" {', '.join(_READ)} (such as NULL AS phone_number where there are none)"
        )
    for name, type_name, is_number, is_text in columns:
        if name == "id" and not is_number:
            yield f"contacts.id is of the type {type_name}; accepted is bigint or another type of numbers"
        if name == "email" and not is_text:
            yield f"contacts.email is of the type {type_name}; accepted is text or another type of texts"
