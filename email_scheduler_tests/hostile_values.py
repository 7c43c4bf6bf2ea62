"""What people and programs write where a text is asked for, to see what becomes of it."""

from typing import Final

from hypothesis import HealthCheck, Phase, settings

from email_scheduler_tests.strategies import few_examples

# By what they try. An argument of a command holds no NUL; SQL, files and JSON may.
MARKUP: Final = (
    "[/x]",
    "promo[v2]",
    "promo [/v2]",
    "[red]x[/red]",
    "[link=http://x]y[/link]",
    ":smile:",
    "[[x]]",
)
CONTROL_CODES: Final = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b[2J",
    "bell\x07",
    "back\b\bspace",
    "a\rb",
    "line\nbreak",
    "tab\tstop",
    "\x9b31mred",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\u2028",
)
NUL: Final = ("a\0b",)
# Bytes of the command line that are no UTF-8.
UNDECODABLE: Final = ("\udcff", "caf\udce9")
LONG: Final = ("x" * 5_000, "word " * 1_000)
NOT_ASCII: Final = ("Jürgen Straße", "日本語", "e\u0301", "👩\u200d💻", "\uffff", "ﬁ")
EMPTY: Final = ("", " ", "\u00a0")
NUMBERS: Final = ("0", "-1", "99999999999999999999", "9223372036854775808", "1e400", "nan", "inf", "007")
WORDS: Final = ("null", "None", "true", "<NA>", "NaT")
SQL: Final = ("'; DROP TABLE contacts; --", '" OR 1=1 --', "%s", "?", ":name", "\\")
HTML: Final = ("<script>alert(1)</script>", "&amp;", '"><img src=x>')
FORMULAS: Final = ("=1+1", "+1", "@x", '=HYPERLINK("http://x")', "'=1")
PATHS: Final = ("../../etc/passwd", "/dev/null", "~nobody", "a/b", ".")
TEMPLATES: Final = ("{0}", "{x.__class__}", "$HOME", "`id`", "%(message)s")

ARGUMENTS: Final = (
    *(*MARKUP, *CONTROL_CODES, *UNDECODABLE, *LONG, *NOT_ASCII, *EMPTY, *NUMBERS, *WORDS),
    *(*SQL, *HTML, *FORMULAS, *PATHS, *TEMPLATES),
)
STORED: Final = (*ARGUMENTS, *NUL)


def hostile_examples(count: int) -> settings:
    """Return that hypothesis tries so many values, each of which takes long: it looks for no simpler ones."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return few_examples(count, phases=[Phase.generate], suppress_health_check=checks)
