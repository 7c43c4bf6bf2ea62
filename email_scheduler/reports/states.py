"""Every state with its rules, its contacts, and the emails that its rules hold back. Counts only."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from email_scheduler.config import BirthdayWindow, SchedulerConfig, StateRules, Window
from email_scheduler.database import (
    connect,
    database_errors,
    last_published,
    read_inputs,
    read_kept,
    read_runs,
    require_current_schema,
)
from email_scheduler.planning import EXCLUSION_REASONS, STATES, validate_contacts

_YEAR_ROUND: Final = "year_round_exclusion"
_FROM_76: Final = "age_76_plus_exclusion"


@dataclass(frozen=True)
class RuleOfState:
    """One rule of a state.

    Attributes:
        kind: The key of ``state_rules`` that holds it.
        law: When nothing may be sent, in words.
        first_day, last_day: The same of a window: days from the date in question, inclusive.
        margin_days: Days before a window that the agency leaves out of its own accord; negative: days at its
            beginning that it does not leave out.
        source: Where it is written; None: nobody says.
        valid_from, valid_to: The days between which it is law, inclusive; None: there is no such end.
    """

    kind: str
    law: str
    first_day: int | None = None
    last_day: int | None = None
    margin_days: int | None = None
    source: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True)
class State:
    """One state, territory or military region.

    Attributes:
        letters: Its two letters.
        rules: What nothing may be sent for; empty: there is no rule.
        contacts: Valid contacts in it, by their ZIPs; None: not known.
        held_back: Emails of the plan in force that its rules hold back; None: not known.
    """

    letters: str
    rules: tuple[RuleOfState, ...]
    contacts: int | None = None
    held_back: int | None = None


@dataclass(frozen=True)
class CountsByState:
    """What the database of an organisation holds.

    Attributes:
        contacts: Valid contacts by state.
        plan: The date of the plan in force, ISO 8601; None: there is none.
        held_back: Emails of it that exclusion rules hold back, by state; None: there is no plan.
    """

    contacts: dict[str, int]
    plan: str | None
    held_back: dict[str, int] | None


@dataclass(frozen=True)
class StatesOverview:
    """All states, in the order of their letters.

    Attributes:
        states: Those with rules and those without.
        excludes_unknown_dates: Whether a missing date excludes where a rule depends on it.
        plan: The date of the plan whose emails are counted, ISO 8601; None: none is.
    """

    states: tuple[State, ...]
    excludes_unknown_dates: bool
    plan: str | None

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {
            "plan": self.plan,
            "exclude_when_anchor_missing": self.excludes_unknown_dates,
            "states": [asdict(each) for each in self.states],
            "without_rule": [each.letters for each in self.states if not each.rules],
            "without_source": [
                each.letters for each in self.states if any(rule.source is None for rule in each.rules)
            ],
        }


def states_overview(rules: StateRules, counts: CountsByState | None) -> StatesOverview:
    """Return every state with its rules, and with its counts where they are known."""
    states = tuple(
        State(
            letters,
            tuple(_rules_of(rules, letters)),
            None if counts is None else counts.contacts.get(letters, 0),
            None if counts is None or counts.held_back is None else counts.held_back.get(letters, 0),
        )
        for letters in STATES
    )
    plan = None if counts is None else counts.plan
    return StatesOverview(states, rules.exclude_when_anchor_missing, plan)


def read_counts_by_state(url: str, config: SchedulerConfig, today: date) -> CountsByState:
    """Read the contacts of an organisation, and what is kept of the plan in force.

    Args:
        url: Its database.
        config: Its configuration.
        today: The date on which contacts are valid or not.

    Raises:
        DatabaseError: The database cannot be read, or has another schema than this package.
    """
    require_current_schema(url, config)
    inputs = read_inputs(url, today, config)
    valid, _ = validate_contacts(inputs, config)
    by_state = valid["state"].value_counts()
    contacts = {str(state): int(count) for state, count in by_state.items() if count}
    with database_errors(url), connect(url, config) as connection:
        last = last_published(read_runs(connection))
        if last is None:
            return CountsByState(contacts, None, None)
        rows = read_kept(connection, last.number).rows
    if rows is None:
        return CountsByState(contacts, last.as_of, None)
    held_back: dict[str, int] = {}
    for reason, count in rows.where(reason=EXCLUSION_REASONS).counts_by("reason").items():
        state = str(reason).rpartition(" in ")[2]
        held_back[state] = held_back.get(state, 0) + count
    return CountsByState(contacts, last.as_of, held_back)


def _rules_of(rules: StateRules, state: str) -> Iterator[RuleOfState]:
    """Yield the rules of a state, in the order in which the first one that holds is the reason."""
    if state in rules.year_round_exclusion:
        yield RuleOfState(_YEAR_ROUND, "nothing is ever sent", source=rules.year_round_source(state))
    for kind, anniversary, by_state in (
        ("birthday_windows", "birthday", rules.birthday_windows),
        ("effective_date_windows", "effective date", rules.effective_date_windows),
    ):
        for window in by_state.get(state, ()):
            yield RuleOfState(
                kind,
                _law(window, anniversary),
                -window.window_before_days,
                window.window_after_days,
                window.pre_window_extension_days,
                window.source,
                window.valid_from,
                window.valid_to,
            )
    if state in rules.age_76_plus_exclusion:
        yield RuleOfState(_FROM_76, "nothing is sent from the 76th birthday on")


def _law(window: Window, anniversary: str) -> str:
    day = f"first of the {anniversary}'s month" if window.use_month_start else anniversary
    return f"{day}, {_days(-window.window_before_days)} to {_days(window.window_after_days)}{_ages(window)}"


def _days(days: int) -> str:
    if not days:
        return "that day"
    return f"{abs(days)} day{'s' if abs(days) > 1 else ''} {'after' if days > 0 else 'before'}"


def _ages(window: Window) -> str:
    if not isinstance(window, BirthdayWindow) or window.min_age is window.max_age is None:
        return ""
    least = "" if window.min_age is None else f" from {window.min_age}"
    most = "" if window.max_age is None else f" to {window.max_age}"
    return f", where the contact becomes{least}{most}"
