"""The exclusion windows of one contact as a list: from, to, which rule, and what it hangs on (section 5)."""

from datetime import date
from typing import Final

from email_scheduler.config.schema import Window
from email_scheduler.planning.dates import to_day
from email_scheduler.planning.exclusions import EXCLUSION_KINDS, FOREVER, ExcludedInterval
from email_scheduler.planning.explanation.facts import Facts, as_date
from email_scheduler.planning.explanation.results import Rule, WindowInterval

_BIRTHDAY_WINDOWS: Final = "birthday_windows"
_EFFECTIVE_WINDOWS: Final = "effective_date_windows"
# The setting of each kind of rule, in the order of the kinds.
_SETTINGS: Final = dict(
    zip(
        EXCLUSION_KINDS,
        (
            "year_round_exclusion",
            _BIRTHDAY_WINDOWS,
            _BIRTHDAY_WINDOWS,
            _EFFECTIVE_WINDOWS,
            _EFFECTIVE_WINDOWS,
            "age_76_plus_exclusion",
        ),
        strict=True,
    )
)
_ANCHORS: Final = {_BIRTHDAY_WINDOWS: "birth_date", _EFFECTIVE_WINDOWS: "effective_date"}


def window_intervals(facts: Facts, position: int, first: date, last: date) -> tuple[WindowInterval, ...]:
    """Return what excludes a contact between two days, inclusive; nothing is cut off at them."""
    found = facts.basis.windows.intervals(position, to_day(first), to_day(last))
    return tuple(map(_interval, found))


def deciding_window(facts: Facts, position: int, day: date, reason: str) -> WindowInterval | None:
    """Return the interval that gives the reason of an excluded day; None: nothing says so any more."""
    found = window_intervals(facts, position, day, day)
    return next((each for each in found if each.reason == reason), None)


def _interval(found: ExcludedInterval) -> WindowInterval:
    setting = _SETTINGS[found.kind]
    return WindowInterval(
        reason=f"{found.kind} in {found.state}",
        first=None if found.first <= -FOREVER else as_date(found.first),
        last=None if found.last >= FOREVER else as_date(found.last),
        anchor_name=_ANCHORS.get(setting),
        anchor=None if found.anchor is None else as_date(found.anchor),
        rule=_rule(found.kind, found.state, found.window),
    )


def _rule(kind: str, state: str, window: Window | None) -> Rule:
    setting = _SETTINGS[kind]
    if window is None:
        # without a window it is the rule about ages that wants to know the date
        setting = _SETTINGS[EXCLUSION_KINDS[-1]] if kind.endswith("unknown") else setting
        return Rule(f"state_rules.{setting}", f"lists {state}")
    if kind.endswith("unknown"):
        value = "every day, since nobody knows when the window is"
    else:
        counted = "the first of the anniversary's month" if window.use_month_start else "the anniversary"
        offsets = f"{window.first_offset_days:+d} to {window.last_offset_days:+d}"
        value = f"{offsets} days from {counted}{_ages(window)}"
    name = f"state_rules.{setting}.{state}"
    return Rule(name, value, window.source, window.valid_from, window.valid_to)


def _ages(window: Window) -> str:
    """Return what a birthday window says of ages."""
    least, most = (getattr(window, name, None) for name in ("min_age", "max_age"))
    limits = (f"from {least}" if least is not None else "", f"to {most}" if most is not None else "")
    return f", on birthdays {' '.join(filter(None, limits))}" if any(limits) else ""
