"""A contact that nobody could mistake, and a search for it in everything that a run leaves behind."""

import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa

CONTACT_ID = 777_001
FIRST_NAME, LAST_NAME = "Zebulonia", "Quixworthy"
ADDRESS = "zebulonia.quixworthy@canary-nest.example"
BIRTH_DATE = "1947-03-19"
PHONE_NUMBER = "512-555-0187"
CONTACT = {
    "id": CONTACT_ID,
    "first_name": FIRST_NAME,
    "last_name": LAST_NAME,
    "email": f" {ADDRESS.title()} ",
    "zip_code": "75001",
    "state": "TX",
    "birth_date": BIRTH_DATE,
    "effective_date": "2019-06-01",
    "phone_number": PHONE_NUMBER,
}
# Each in any case; a date also as other programs write it.
_SPELLINGS = (
    *("zebulonia", "quixworthy", "canary-nest"),
    *(BIRTH_DATE, "19470319", "03/19/1947", "3/19/1947", "19.03.1947", "march 19, 1947", "19 mar 1947"),
    *(PHONE_NUMBER, "5125550187", "(512) 555-0187", "+15125550187"),
)
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
_CANARY = re.compile(
    b"|".join(re.escape(text.encode(encoding)) for text in _SPELLINGS for encoding in _ENCODINGS),
    re.IGNORECASE,
)
# How compressed content begins, and what opens it.
_COMPRESSED = {b"\x78\x01": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib", b"\x1f\x8b": "gzip"}
_MOST_BYTES = 50_000_000
_SQLITE = b"SQLite format 3\x00"


def traces_in(content: bytes) -> set[bytes]:
    """Return what of the canary is in some bytes, or in what is compressed in them."""
    return {found for part in _opened(content) for found in _CANARY.findall(part)}


def traces_in_files(directory: Path, *, but_not: Iterable[Path] = ()) -> dict[Path, set[bytes]]:
    """Return what of the canary is in the files of a directory, in their names, and in rows of SQLite.

    Args:
        directory: Where to look, however deep.
        but_not: Files and directories where the canary may be.
    """
    allowed = tuple(but_not)
    found = {}
    for path in sorted(directory.rglob("*")):
        if any(path == each or each in path.parents for each in allowed):
            continue
        traces = traces_in(str(path.relative_to(directory)).encode())
        if path.is_file():
            content = path.read_bytes()
            traces |= traces_in(content)
            if content.startswith(_SQLITE):
                traces |= traces_in_rows(path)
        if traces:
            found[path] = traces
    return found


def traces_in_rows(path: Path, tables: Iterable[str] = ()) -> set[bytes]:
    """Return what of the canary is in the rows of a SQLite database: of all its tables, or of some."""
    traces: set[bytes] = set()
    with closing(sqlite3.connect(path)) as connection:
        named = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables or named:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    traces |= traces_in(value if isinstance(value, bytes) else str(value).encode())
    return traces


def _opened(content: bytes) -> Iterator[bytes]:
    yield content
    for start, kind in _COMPRESSED.items():
        for match in re.finditer(re.escape(start), content):
            with suppress(zlib.error):
                opener = zlib.decompressobj(47 if kind == "gzip" else zlib.MAX_WBITS)
                opened = opener.decompress(content[match.start() :], _MOST_BYTES)
                if len(opened) > 20:
                    yield from _opened(opened)
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        with (
            suppress(OSError, ValueError),
            pa.input_stream(pa.BufferReader(content), compression="zstd") as file,
        ):
            yield file.read()
