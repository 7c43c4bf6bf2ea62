"""``email-scheduler states``: which rules each state has, whom they concern, and where they are written."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import RenderableType

from email_scheduler.cli.shared import (
    CONFIG_DIRECTORY,
    Answer,
    At,
    command,
    load,
    log,
    spaced,
)
from email_scheduler.clock import today
from email_scheduler.config import ORGANIZATIONS_FILE, load_organizations
from email_scheduler.errors import ConfigurationError, DatabaseError
from email_scheduler.reports.states import (
    CountsByState,
    RuleOfState,
    State,
    StatesOverview,
    read_counts_by_state,
    states_overview,
)
from email_scheduler.reports.terminal import line, table

_NO_SOURCE: Final = "NO SOURCE"


@command
def states(at: At) -> Answer:
    """List every state with its rules, their sources, its contacts, and the emails held back."""
    counts: CountsByState | None = None
    why: str | None = "nothing is counted: neither a database nor an organisation is named"
    if _names_nobody(at):
        settings = load(at.config)
    else:
        settings = at.settings
        try:
            counts = read_counts_by_state(at.url, settings, today())
            why = None if counts.held_back is not None else "no emails are counted: there is no plan so far"
        except (ConfigurationError, DatabaseError) as error:
            why = f"nothing is counted: {error}"
    if why is not None:
        log.warning(why)
    found = states_overview(settings.state_rules, counts)
    return Answer({**found.document(), "not_counted": why}, spaced(_parts(found)))


def _names_nobody(at: At) -> bool:
    """Tell whether nothing says whose contacts are meant."""
    if at.database is not None or at.organization is not None:
        return False
    file = (at.config or CONFIG_DIRECTORY) / ORGANIZATIONS_FILE
    return not file.is_file() or len(load_organizations(file)) != 1


def _parts(found: StatesOverview) -> Iterator[RenderableType]:
    ruled = [each for each in found.states if each.rules]
    free = [each for each in found.states if not each.rules]
    yield table(
        "States with rules",
        *("state", "contacts", "held back", "rule", "valid", "source"),
        rows=[row for each in ruled for row in _rows(each)],
        left={"rule", "valid", "source"},
    )
    yield table("States without a rule", "state", "contacts", rows=[(e.letters, e.contacts) for e in free])
    yield "The margin is the agency's own: what its rules leave out beyond the law."
    if found.plan is not None:
        yield f"Held back: emails of the plan for {found.plan} that a rule of the state stops."
    if found.excludes_unknown_dates:
        yield "Where a rule depends on a date, a contact whose date is missing gets nothing."
    without = [each.letters for each in ruled if any(rule.source is None for rule in each.rules)]
    if without:
        yield line(f"States with a rule without a source: {', '.join(without)}", style="yellow")


def _rows(state: State) -> Iterator[Iterable[Any]]:
    for number, rule in enumerate(state.rules):
        source = line(_NO_SOURCE, style="yellow") if rule.source is None else rule.source
        law = rule.law if rule.margin_days is None else f"law: {rule.law}"
        who = ("", "", "") if number else (state.letters, state.contacts, state.held_back)
        yield (*who, law, _valid(rule), source)
        if rule.margin_days is not None:
            yield ("", "", "", f"margin: {_margin(rule.margin_days)}", "", "")


def _margin(days: int) -> str:
    if not days:
        return "none"
    unit = "day" if abs(days) == 1 else "days"
    return f"{days} {unit} before that" if days > 0 else f"{-days} {unit} fewer at the beginning"


def _valid(rule: RuleOfState) -> str:
    if rule.valid_from is None and rule.valid_to is None:
        return "always"
    begin = "" if rule.valid_from is None else f"from {rule.valid_from}"
    end = "" if rule.valid_to is None else f"to {rule.valid_to}"
    return " ".join(filter(None, (begin, end)))
