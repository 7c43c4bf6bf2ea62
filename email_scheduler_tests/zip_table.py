"""The table of ZIPs in ``email_scheduler/registry/zip_codes.py``, made from the package ``zipcodes``.

``reference.py`` renews it with the tables of the documentation.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import zipcodes

import email_scheduler.registry.zip_codes as module

FILE = Path(module.__file__)
_MOST_LETTERS = 110
_BEGIN, _END = 'ZIP_CODES: Final = """\\\n', '"""\n'


def renewed(text: str) -> str:
    """Return the module with its table as it has to be."""
    head, _, _ = text.partition(_BEGIN)
    by_prefix = groupby(
        sorted((entry["zip_code"], entry["state"]) for entry in zipcodes.list_all()),
        key=lambda each: (each[0][:3], each[1]),
    )
    lines = [
        line
        for (prefix, state), entries in by_prefix
        for line in _lines(f"{prefix} {state}", _ranges(int(number[3:]) for number, _ in entries))
    ]
    return head + _BEGIN + "".join(f"{line}\n" for line in lines) + _END


def _ranges(numbers: Iterable[int]) -> Iterator[str]:
    for _, each in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in each]
        yield f"{run[0]:02}" if len(run) == 1 else f"{run[0]:02}-{run[-1]:02}"


def _lines(begin: str, ranges: Iterable[str]) -> Iterator[str]:
    line = begin
    for each in ranges:
        if len(line) + 1 + len(each) > _MOST_LETTERS:
            yield line
            line = begin
        line = f"{line} {each}"
    yield line
