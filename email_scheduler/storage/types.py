"""The types of columns: PostgreSQL has its own for dates, moments and JSON, SQLite keeps them all as text.

In Python they are text with both: sessions load them as text (``postgresql.load_as_text``), and what is
written goes to the server without a type of its own. So SQLAlchemy must not convert anything.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import UserDefinedType

from email_scheduler.planning.texts import WHITESPACE


class _AsText(UserDefinedType[str]):
    """A type of PostgreSQL whose values are text here."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the name of the type."""
        return self.name


# SQLite numbers rows by itself only where the key's type is spelled INTEGER.
ID: Final = BigInteger().with_variant(Integer(), "sqlite")
DATE: Final = Text().with_variant(_AsText("DATE"), "postgresql")
MOMENT: Final = Text().with_variant(_AsText("TIMESTAMP WITH TIME ZONE"), "postgresql")
# not JSONB: plans are compared by their text, which has to come back unchanged
JSON: Final = Text().with_variant(_AsText("JSON"), "postgresql")

# White space as Python's str.strip has it, so that addresses are the same here and in the planner.
_WHITESPACE_SQLITE: Final = f"char({', '.join(str(ord(character)) for character in WHITESPACE)})"
_WHITESPACE_POSTGRESQL: Final = "E'" + "".join(f"\\u{ord(character):04X}" for character in WHITESPACE) + "'"


def trimmed_sql(expression: str, dialect_name: str) -> str:
    """Return SQL of a text without white space at both ends."""
    if dialect_name == "postgresql":
        return f"btrim({expression}, {_WHITESPACE_POSTGRESQL})"
    return f"trim({expression}, {_WHITESPACE_SQLITE})"


def address_sql(expression: str, dialect_name: str) -> str:
    """Return SQL of what makes two contacts the same addressee: trimmed, with small letters for A to Z."""
    trimmed = trimmed_sql(expression, dialect_name)
    return f'lower({trimmed} COLLATE "C")' if dialect_name == "postgresql" else f"lower({trimmed})"


class Address(ColumnElement[str]):
    """``address_sql`` of the column ``email``, for an index."""

    inherit_cache = True


@compiles(Address)
def _address(element: Address, compiler: Any, **_: Any) -> str:  # noqa: ARG001 - it has no parts
    return address_sql("email", compiler.dialect.name)
