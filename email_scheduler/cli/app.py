"""The ``email-scheduler`` command: parses, calls, shows.

Exit codes: 0 done; 2 bad arguments, configuration or database; 3 a plan that loses too much and waits for a
person; 1 anything else. What a command needs is
loaded when it is called, so that the list of the commands is there at once.
"""

import gc
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import StringIO, TextIOWrapper
from typing import Annotated, Any, Final, Never, cast

import typer
from typer.core import TyperGroup

from email_scheduler.errors import EmailSchedulerError, LossError, UsageError
from email_scheduler.visible import visible


@dataclass(frozen=True)
class Entry:
    """A command in the list of them.

    Attributes:
        place: Module of this package, and name in it, of the function or of the group of commands.
        says: What the command does.
    """

    place: str
    says: str


COMMANDS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Every day": {
        "plan": Entry(
            "plan_commands:plan", "Plan every email of an organisation, prove the plan, and publish it."
        ),
        "health": Entry(
            "health_command:health",
            "Say how each organisation does: healthy (exit code 0), degraded (1) or unhealthy (2), and why.",
        ),
        "report": Entry(
            "report_command:report",
            "Report what was published for a day: volume, changes, skipped emails, the proof. Counts only.",
        ),
        "explain": Entry(
            "explain_command:explain",
            "Say why a contact gets an email, or does not get it, and when it may get it. Nothing is"
            " changed.",
        ),
    },
    "Campaigns, and in an emergency": {
        "campaigns": Entry("campaign_commands:campaigns", "Manage campaigns: types, instances, targets."),
        "hold": Entry(
            "plan_commands:hold",
            "Hold an organisation at once: nothing is due until it is released. Planning goes on.",
        ),
        "release": Entry("plan_commands:release", "Release an organisation that is held."),
    },
    "Contacts": {
        "contacts": Entry(
            "contact_commands:contacts", "Load contacts from a file, and carry history over to new ids."
        ),
        "suppress": Entry(
            "suppression_commands:suppress",
            "Let nobody write to addresses any more, whoever has them. It counts at once.",
        ),
        "unsuppress": Entry(
            "suppression_commands:unsuppress",
            "Let an address be written to again: also contacts that have it and were suppressed themselves.",
        ),
        "suppressions": Entry("suppression_commands:suppressions", "List what is suppressed."),
    },
    "Before something changes": {
        "states": Entry(
            "states_command:states",
            "List every state with its rules, their sources, its contacts, and the emails held back.",
        ),
        "what-if": Entry(
            "what_if_command:what_if",
            "Show what another configuration would do to the plan; publish nothing.",
        ),
        "simulate": Entry(
            "simulate_command:simulate",
            "Plan every day, send what is due, let contacts react; all in memory, the database is only read.",
        ),
        "config": Entry(
            "config_commands:config_commands",
            "List versions of the configuration, compare them, bring one back.",
        ),
    },
    "Databases": {
        "init-db": Entry(
            "database_commands:init_db",
            "Create a database, or bring an older one up to date without losing a row.",
        ),
        "backup": Entry("backup_commands:backup", "Make, list, check and restore backups."),
        "generate": Entry(
            "database_commands:generate",
            "Fill an empty database with a sample organisation: contacts, campaigns, history, clicks,"
            " answers.",
        ),
        "demo": Entry(
            "database_commands:demo",
            "Plan today for a sample organisation under data/, which is generated the first time.",
        ),
    },
    "From the older program": {
        "import-history": Entry(
            "cutover_commands:import_history",
            "Import the emails that the older program has sent from a CSV file, so that none is sent again.",
        ),
        "migrate-rate-increases": Entry(
            "cutover_commands:migrate_rate_increases",
            "Turn the rate increases of the older program into a campaign instance with targets.",
        ),
        "shadow": Entry(
            "cutover_commands:shadow",
            "Plan, publish nothing, and show what the older program has planned otherwise, by type and"
            " reason.",
        ),
    },
}
_EXIT_CODES: Final = ((UsageError, 2), (LossError, 3))
# what Typer raises where arguments are not accepted; it exports the kinds, not what they have in common
_NOT_ACCEPTED: Final[Any] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
_STYLE: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}
_ENTRIES: Final = {name: entry for group in COMMANDS.values() for name, entry in group.items()}


class _Group(TyperGroup):
    """Commands of a command, listed with all that is said of them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer passes it
        """List the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.help or "") for name, each in self.commands.items()])


def command_group(*, lists_by_itself: bool = False) -> typer.Typer:
    """Return a command that has commands; without one it shows its help, or what its callback lists."""
    return typer.Typer(
        cls=_Group, invoke_without_command=lists_by_itself, no_args_is_help=not lists_by_itself, **_STYLE
    )


class _WhenCalled(Mapping[str, Any]):
    """The commands by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _loaded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_ENTRIES)

    def __len__(self) -> int:
        return len(_ENTRIES)


@cache
def _loaded(name: str) -> Any:
    entry = _ENTRIES[name]
    module, _, attribute = entry.place.partition(":")
    # modules stay: to look for garbage among what they make takes a tenth of the start
    gc.disable()
    try:
        found = getattr(import_module(f"email_scheduler.cli.{module}"), attribute)
    finally:
        gc.enable()
    if not isinstance(found, typer.Typer):
        single = typer.Typer(**_STYLE)
        single.command(name, help=entry.says)(found)
        found = single
    made = typer.main.get_command(found)
    made.name, made.help = name, entry.says
    return made


class _Commands(TyperGroup):
    """All commands, listed in groups."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("MutableMapping[str, Any]", _WhenCalled())

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer passes it
        """List the commands with all that is said of them, and without loading one."""
        for title, entries in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.says) for name, entry in entries.items()])


app = typer.Typer(
    cls=_Commands,
    help="Plans which email every contact gets on which day, proves the plan and publishes it.",
    no_args_is_help=True,
    **_STYLE,
)


@app.callback()
def _options(
    _debug: Annotated[bool, typer.Option("--debug", help="Show a stack trace when something fails.")] = False,
) -> None:
    """Take the options that every command has; ``main`` looks for them wherever they stand."""


def main() -> None:
    """Run the command; errors are one line, a stack trace only with ``--debug``."""
    is_debug = "--debug" in sys.argv
    _prepare_outputs()
    arguments = _arguments()
    try:
        ended = app(args=arguments, standalone_mode=False)
    except typer.Abort:
        _fail("Aborted!", 1)
    except _NOT_ACCEPTED as error:
        said = StringIO()
        error.show(said)
        _fail(said.getvalue().rstrip("\n"), error.exit_code)
    except EmailSchedulerError as error:
        if is_debug:
            raise
        code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
        _fail(f"error: {error}", code)
    except Exception as error:
        if is_debug:
            raise
        _fail(f"error: {unexpected(error)} (--debug shows what and where)", 1)
    sys.exit(ended if isinstance(ended, int) else 0)


def _prepare_outputs() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # what a terminal cannot show is shown as an escape
            stream.reconfigure(errors="backslashreplace")


def _arguments() -> list[str]:
    arguments = [each for each in sys.argv[1:] if each != "--debug"]
    for each in arguments:
        # bytes that are no UTF-8 are surrogates
        if any("\ud800" <= letter <= "\udfff" for letter in each):
            _fail(f"error: argument {each}: it is no text in UTF-8; accepted is one", 2)
    return arguments


def unexpected(error: Exception) -> str:
    """Return what can be said of an error that nobody thought of; whoever asks for --debug gets it all."""
    from email_scheduler.database import error_text  # noqa: PLC0415 - it is loaded only where it is needed

    # nobody knows what its message holds
    name, said = type(error).__name__, error_text(error)
    return name if said == name else f"{name}: {said}"


def tell(text: str) -> None:
    """Print lines to standard error, their values as they are; that nobody can read them changes nothing."""
    # not more than that goes wrong where it is closed, or its disk is full
    with suppress(OSError, ValueError, AttributeError):
        # a file may have a million bad lines, one of the message each
        sys.stderr.write(f"{visible(text, keep=chr(10))}\n")
        sys.stderr.flush()


def _fail(message: str, code: int) -> Never:
    tell(message)
    sys.exit(code)
