"""What a plan comes to, counted once: small cubes, of which every question is a grouping."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.categories import is_label
from email_scheduler.planning.columns import SortedIds, side_by_side, to_day
from email_scheduler.registry import FOLLOW_UP_TYPES, PRE_SCHEDULED

Label = str | int | None
Breakdown = dict[str, dict[str, int]]
Rows = npt.NDArray[np.integer] | slice
_Codes = npt.NDArray[np.int64]
ALL_ROWS: Final = slice(None)
# Numbers that lie that close together are their own codes.
_CLOSE_TOGETHER: Final = 1 << 16
# Emails that are moved further than that count under it.
MOST_DAYS_MOVED: Final = 400
# What stands for the state of a contact that is not among the valid ones.
UNKNOWN_STATE: Final = "unknown"
_ROWS_AT_A_TIME: Final = 1 << 18


@dataclass(frozen=True)
class Axis:
    """What rows are counted by.

    Attributes:
        codes: For each row the position of its label.
        labels: The labels, each once.
    """

    codes: npt.NDArray[np.integer]
    labels: Sequence[Label]

    @classmethod
    def of_labels(cls, column: pd.Series, at: Rows = ALL_ROWS, missing: Label = None) -> "Axis":
        """Return the labels of a category at some positions; ``missing`` where a row has none."""
        labels = names_of(column)
        codes = column.cat.codes.to_numpy()[at]
        return cls(np.where(codes < 0, codes.dtype.type(len(labels)), codes), [*labels, missing])

    @classmethod
    def of_numbers(cls, values: npt.NDArray[np.integer]) -> "Axis":
        """Return whole numbers, ascending."""
        lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, -1)
        if highest - lowest < _CLOSE_TOGETHER:
            return cls(values - lowest, range(lowest, highest + 1))
        numbers, codes = np.unique(values, return_inverse=True)
        return cls(codes, numbers.tolist())

    @classmethod
    def of_flags(cls, flags: npt.NDArray[np.bool_], is_true: Label, is_false: Label) -> "Axis":
        """Return one of two labels for each row."""
        return cls(flags.astype(np.int8), [is_false, is_true])

    def renamed(self, name: Callable[[Label], Label]) -> "Axis":
        """Return other names for the labels; several may get the same one."""
        names = [name(label) for label in self.labels]
        labels = list(dict.fromkeys(names))
        return Axis(np.array([labels.index(each) for each in names], np.int64)[self.codes], labels)


@dataclass(frozen=True, eq=False)
class Cube:
    """How many rows there are of each combination of labels. Cubes of parts of the rows add up.

    Attributes:
        legends: The labels of each axis: numbers ascending, names in an order of their own.
        codes: A row for each combination that occurs, in the order of the legends: positions in these.
        counts: The rows of each; never 0.
    """

    legends: dict[str, tuple[Label, ...]]
    codes: _Codes
    counts: _Codes

    @classmethod
    def count(cls, axes: Mapping[str, Axis]) -> "Cube":
        """Count rows by one axis or more."""
        shape = _shape([axis.labels for axis in axes.values()])
        size = math.prod(shape)
        # half as wide, they are sorted in half the time
        kind = np.dtype(np.int32 if size < 1 << 31 else np.int64)
        first, *others = axes.values()
        keys: npt.NDArray[np.integer] = first.codes.astype(kind)
        for axis, length in zip(others, shape[1:], strict=True):
            keys = keys * kind.type(length) + axis.codes.astype(kind, copy=False)
        if size <= len(keys):
            of_key = np.bincount(keys)
            cells = np.flatnonzero(of_key)
            counts = of_key[cells]
        else:
            cells, counts = np.unique(keys, return_counts=True)
        legends = {name: tuple(axis.labels) for name, axis in axes.items()}
        return cls(legends, np.stack(np.unravel_index(cells, shape), axis=1), counts.astype(np.int64))

    @classmethod
    def of_cells(cls, axes: Sequence[str], cells: Mapping[tuple[Label, ...], int]) -> "Cube":
        """Return the cube of combinations that were counted already."""
        legends = {name: _legend([[key[number] for key in cells]]) for number, name in enumerate(axes)}
        codes = [[legends[name].index(label) for name, label in zip(axes, key, strict=True)] for key in cells]
        return _folded(
            legends,
            np.array(codes, np.int64).reshape(len(codes), len(axes)),
            np.array([*cells.values()], np.int64),
        )

    @classmethod
    def of_table(cls, first: str, second: str, table: Mapping[Any, Mapping[Any, int]]) -> "Cube":
        """Return the cube of what ``table`` has returned for two axes."""
        cells: dict[tuple[Label, ...], int] = {
            (label, other): rows for label, of_label in table.items() for other, rows in of_label.items()
        }
        return cls.of_cells((first, second), cells)

    @classmethod
    def empty(cls, *axes: str) -> "Cube":
        """Return the counts of no rows."""
        return cls.of_cells(axes, {})

    @classmethod
    def sum(cls, cubes: Sequence["Cube"]) -> "Cube":
        """Return the counts of the rows of all; at least one, of the same axes."""
        names = list(cubes[0].legends)
        if any(list(each.legends) != names for each in cubes):
            raise ValueError(f"cubes of other axes than {', '.join(names)} do not add up with it")
        legends = {name: _legend([each.legends[name] for each in cubes]) for name in names}
        return _folded(
            legends,
            np.concatenate([each._codes_in(legends) for each in cubes]),
            np.concatenate([each.counts for each in cubes]),
        )

    def __add__(self, other: "Cube") -> "Cube":
        return Cube.sum([self, other])

    def __sub__(self, other: "Cube") -> "Cube":
        return self + Cube(other.legends, other.codes, -other.counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cube):
            return NotImplemented
        return list(self.legends) == list(other.legends) and dict(self.cells()) == dict(other.cells())

    # a table of counts is no key
    __hash__ = None  # type: ignore[assignment]

    @property
    def total(self) -> int:
        """All rows."""
        return int(self.counts.sum())

    def cells(self) -> Iterator[tuple[tuple[Label, ...], int]]:
        """Return the labels and the rows of each combination that occurs."""
        columns = [
            [legend[code] for code in codes]
            for legend, codes in zip(self.legends.values(), self.codes.T.tolist(), strict=True)
        ]
        return zip(zip(*columns, strict=True), self.counts.tolist(), strict=True)

    def where(self, **accepted: Label | Collection[Label]) -> "Cube":
        """Return the rows whose labels are these, or one of these."""
        is_kept = np.ones(len(self.counts), np.bool_)
        for name, wanted in accepted.items():
            labels = (wanted,) if wanted is None or isinstance(wanted, str | int) else wanted
            is_wanted = np.array([label in labels for label in self.legends[name]], np.bool_)
            is_kept &= is_wanted[self._column(name)]
        return Cube(self.legends, self.codes[is_kept], self.counts[is_kept])

    def by(self, *axes: str) -> "Cube":
        """Return the counts by some of the axes only."""
        codes = np.stack([self._column(name) for name in axes], axis=1)
        return _folded({name: self.legends[name] for name in axes}, codes, self.counts)

    def renamed(self, axis: str, name: Callable[[Label], Label]) -> "Cube":
        """Return other names for the labels of an axis; what gets the same name counts together."""
        names = [name(label) for label in self.legends[axis]]
        legend = _legend([names])
        codes = self.codes.copy()
        place = list(self.legends).index(axis)
        codes[:, place] = np.array([legend.index(each) for each in names], np.int64)[codes[:, place]]
        return _folded({**self.legends, axis: legend}, codes, self.counts)

    def counts_by(self, axis: str) -> dict[Any, int]:
        """Return the rows of each label of an axis, in the order of its legend."""
        return {label: count for (label,), count in self.by(axis).cells()}

    def most_frequent(self, axis: str) -> dict[Any, int]:
        """Return the rows of each label of an axis, the most frequent first."""
        return dict(sorted(self.counts_by(axis).items(), key=lambda each: -each[1]))

    def table(self, first: str, second: str) -> dict[Any, dict[Any, int]]:
        """Return label of the one axis to label of the other to rows, in the order of their legends."""
        found: dict[Any, dict[Any, int]] = {}
        for (label, other), count in self.by(first, second).cells():
            found.setdefault(label, {})[other] = count
        return found

    def from_number(self, axis: str, first: int, length: int) -> list[int]:
        """Return the rows of ``length`` numbers of an axis, one after the other."""
        counts = self.counts_by(axis)
        return [counts.get(number, 0) for number in range(first, first + length)]

    def document(self) -> dict[str, Any]:
        """Return the same for JSON: the labels that occur, and of each cell their positions and the rows."""
        used = [np.unique(codes, return_inverse=True) for codes in self.codes.T]
        return {
            "axes": {
                name: [legend[code] for code in codes]
                for (name, legend), (codes, _) in zip(self.legends.items(), used, strict=True)
            },
            "cells": np.column_stack([*(places for _, places in used), self.counts]).tolist(),
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Cube":
        """Return what ``document`` has returned."""
        legends = {name: tuple(labels) for name, labels in document["axes"].items()}
        cells = np.array(document["cells"], np.int64).reshape(-1, len(legends) + 1)
        return cls(legends, cells[:, :-1], cells[:, -1])

    def _column(self, axis: str) -> _Codes:
        return self.codes[:, list(self.legends).index(axis)]

    def _codes_in(self, legends: Mapping[str, tuple[Label, ...]]) -> _Codes:
        """Return the codes of the same labels in longer legends."""
        columns = []
        for name, legend in legends.items():
            places = {label: place for place, label in enumerate(legend)}
            own = np.array([places[label] for label in self.legends[name]], np.int64)
            columns.append(own[self._column(name)])
        return np.stack(columns, axis=1)


def names_of(column: pd.Series) -> list[str]:
    """Return the categories of a column; asking for them all at once is ten times as fast as one by one."""
    names: list[str] = column.cat.categories.to_numpy("object").tolist()
    return names


def _legend(legends: Collection[Sequence[Label]]) -> tuple[Label, ...]:
    labels = dict.fromkeys(chain.from_iterable(legends))
    numbers = [label for label in labels if isinstance(label, int)]
    return tuple(sorted(numbers)) if len(numbers) == len(labels) else tuple(labels)


def _shape(legends: Collection[Sequence[Label]]) -> tuple[int, ...]:
    return tuple(max(len(legend), 1) for legend in legends)


def _folded(legends: dict[str, tuple[Label, ...]], codes: _Codes, counts: _Codes) -> Cube:
    """Return the cube of combinations of which some may be the same, or come to nothing."""
    shape = _shape(legends.values())
    cells, place = np.unique(np.ravel_multi_index(tuple(codes.T), shape), return_inverse=True)
    sums = np.zeros(len(cells), np.int64)
    np.add.at(sums, place, counts)
    occurs = sums != 0
    return Cube(legends, np.stack(np.unravel_index(cells[occurs], shape), axis=1), sums[occurs])


@dataclass(frozen=True)
class PlanCounts:
    """How many rows a plan has of each kind.

    State and day together make twenty times as many cells as each by itself (37,000 for 100,000 contacts),
    and nobody asks for both: each cube holds what is asked for together. Counts of parts of a plan add up to
    those of the whole.

    Attributes:
        rows: By ``email_type``, ``status``, ``reason``, ``state`` and ``adjustment``; the reason is the skip
            reason, or the status of a row without one.
        days: Planned emails by ``email_type`` and ``day``, the number of days after the as-of date.
        moves: Planned emails that have an adjustment, by ``adjustment`` and ``days_moved`` from the ideal
            date, negative: earlier.
        campaigns: Emails of campaigns, follow-ups aside, by ``campaign_instance_id`` and ``status``.
    """

    rows: Cube
    days: Cube
    moves: Cube
    campaigns: Cube

    @classmethod
    def of(cls, schedules: pd.DataFrame, contacts: pd.DataFrame, as_of: date) -> "PlanCounts":
        """Count rows (``EMAIL_SCHEDULES``), all of a plan or some.

        Args:
            schedules: The rows.
            contacts: ``CONTACTS``: the valid contacts.
            as_of: The date that the plan is made for.
        """
        ids = SortedIds(contacts["contact_id"].to_numpy())
        # the last one is that of contacts that are not there
        states = np.append(contacts["state"].cat.codes.to_numpy(), -1)
        names = contacts["state"].cat.categories

        def count(first: int) -> PlanCounts:
            rows = schedules[first : first + _ROWS_AT_A_TIME]
            own = states[ids.positions(rows["contact_id"].to_numpy())]
            return cls._of_part(rows, pd.Series(pd.Categorical.from_codes(own, names)), to_day(as_of))

        return cls.sum(side_by_side(count, range(0, max(len(schedules), 1), _ROWS_AT_A_TIME)))

    @classmethod
    def _of_part(cls, rows: pd.DataFrame, state: pd.Series, first_day: int) -> "PlanCounts":
        days, ideal, instances, initial = (
            rows[name].to_numpy()
            for name in (
                *("scheduled_send_date", "ideal_send_date"),
                *("campaign_instance_id", "initial_email_id"),
            )
        )
        is_planned = is_label(rows["status"], [PRE_SCHEDULED])
        planned = np.flatnonzero(is_planned)
        moved = np.flatnonzero(is_planned & (rows["adjustment"].cat.codes.to_numpy() >= 0))
        own = np.flatnonzero((instances != 0) & (initial == 0))
        by_days = np.clip(days[moved] - ideal[moved], -MOST_DAYS_MOVED, MOST_DAYS_MOVED)
        return cls(
            rows=Cube.count(
                {
                    "email_type": Axis.of_labels(rows["email_type"]),
                    "status": Axis.of_labels(rows["status"]),
                    "reason": reasons(rows),
                    "state": Axis.of_labels(state, missing=UNKNOWN_STATE),
                    "adjustment": Axis.of_labels(rows["adjustment"]),
                }
            ),
            days=Cube.count(
                {
                    "email_type": Axis.of_labels(rows["email_type"], planned),
                    "day": Axis.of_numbers(days[planned] - np.int32(first_day)),
                }
            ),
            moves=Cube.count(
                {
                    "adjustment": Axis.of_labels(rows["adjustment"], moved),
                    "days_moved": Axis.of_numbers(by_days),
                }
            ),
            campaigns=Cube.count(
                {
                    "campaign_instance_id": Axis.of_numbers(instances[own]),
                    "status": Axis.of_labels(rows["status"], own),
                }
            ),
        )

    @classmethod
    def sum(cls, parts: list["PlanCounts"]) -> "PlanCounts":
        """Return the counts of the rows of all parts; at least one."""
        return cls(
            rows=Cube.sum([each.rows for each in parts]),
            days=Cube.sum([each.days for each in parts]),
            moves=Cube.sum([each.moves for each in parts]),
            campaigns=Cube.sum([each.campaigns for each in parts]),
        )

    def __add__(self, other: "PlanCounts") -> "PlanCounts":
        return PlanCounts.sum([self, other])

    def __sub__(self, other: "PlanCounts") -> "PlanCounts":
        return PlanCounts(
            rows=self.rows - other.rows,
            days=self.days - other.days,
            moves=self.moves - other.moves,
            campaigns=self.campaigns - other.campaigns,
        )


def taken_by_day(counts: PlanCounts, fixed: pd.Series, days: int, as_of: date) -> list[int]:
    """Return the emails of each day from the as-of date on that are not the plan's.

    Args:
        counts: Of the plan.
        fixed: Emails of each day that balancing could not move, planned follow-ups among them; the index
            holds day numbers.
        days: How many days.
        as_of: The date that the plan is made for.
    """
    first = to_day(as_of)
    kept = fixed.reindex(range(first, first + days), fill_value=0)
    follow_ups = counts.days.where(email_type=FOLLOW_UP_TYPES).from_number("day", 0, days)
    return [int(count) - own for count, own in zip(kept, follow_ups, strict=True)]


def emails_by_day(counts: PlanCounts, fixed: pd.Series, days: int, as_of: date) -> list[int]:
    """Return the emails of each day from the as-of date on, whosever they are; arguments as above."""
    taken = taken_by_day(counts, fixed, days, as_of)
    return [own + other for own, other in zip(counts.days.from_number("day", 0, days), taken, strict=True)]


def reasons(rows: pd.DataFrame, at: Rows = ALL_ROWS) -> Axis:
    """Return the skip reason of rows at some positions, or the status of those that have none."""
    skip, status = rows["skip_reason"].cat, rows["status"].cat
    codes = skip.codes.to_numpy()[at]
    names = [*names_of(rows["skip_reason"]), *names_of(rows["status"])]
    has_none = np.flatnonzero(codes < 0)
    codes = codes.astype(np.int32)
    codes[has_none] = status.codes.to_numpy()[at][has_none] + np.int32(len(skip.categories))
    return Axis(codes, names)
