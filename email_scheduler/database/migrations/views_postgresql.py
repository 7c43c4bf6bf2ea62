"""Views of others, which are in the way when a column changes its type: set aside, and put back."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

# Plain views that show a table, or a view of it, the nearest first. Those with triggers or rules of their own
# are left out: the server then refuses to change the table, and says which view it is.
_VIEWS: Final = """
WITH RECURSIVE dependent (oid, depth) AS (
    SELECT CAST(CAST(%s AS regclass) AS oid), 0
    UNION
    SELECT rule.ev_class, dependent.depth + 1
    FROM dependent
    JOIN pg_depend AS dependency
        ON dependency.refclassid = CAST('pg_class' AS regclass) AND dependency.refobjid = dependent.oid
    JOIN pg_rewrite AS rule
        ON dependency.classid = CAST('pg_rewrite' AS regclass) AND rule.oid = dependency.objid
    WHERE rule.ev_class <> dependent.oid
)
SELECT view.oid, CAST(CAST(view.oid AS regclass) AS text), pg_get_viewdef(view.oid),
       quote_ident(pg_get_userbyid(view.relowner)), array_to_string(view.reloptions, ', ')
FROM dependent JOIN pg_class AS view ON view.oid = dependent.oid
WHERE view.relkind = 'v' AND NOT view.relhastriggers
    AND (SELECT count(*) FROM pg_rewrite AS rule WHERE rule.ev_class = view.oid) = 1
GROUP BY view.oid
ORDER BY max(dependent.depth), view.oid
"""
_GRANTS: Final = """
SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
       is_grantable
FROM pg_class, aclexplode(relacl) WHERE oid = %s
"""


@dataclass(frozen=True)
class View:
    """A view, and what it takes to make it again."""

    name: str
    statements: tuple[str, ...]


def views_of(connection: Connection, table: str) -> list[View]:
    """Return the views that show a table, each after those that it is made from.

    Args:
        connection: In a transaction.
        table: The table, quoted.
    """
    views = []
    rows = connection.exec_driver_sql(_VIEWS, (table,)).all()
    for oid, name, definition, owner, options in rows:
        grants = [
            f"GRANT {privilege} ON {name} TO {grantee}{' WITH GRANT OPTION' if is_grantable else ''}"
            for privilege, grantee, is_grantable in connection.exec_driver_sql(_GRANTS, (oid,))
        ]
        settings = f" WITH ({options})" if options else ""
        create = f"CREATE VIEW {name}{settings} AS {definition}"
        views.append(View(name, (create, f"ALTER VIEW {name} OWNER TO {owner}", *grants)))
    return views
