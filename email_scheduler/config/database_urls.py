"""Database URLs: which can be read without doubt, and how they may be shown.

A password that is not written as it should be can end up in any part of a URL. So one that does not read
cleanly is refused before anybody connects to it, and of it only the scheme is shown.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import parse_qsl, unquote

SQLITE_SCHEMES: Final = frozenset({"sqlite", "sqlite+pysqlite"})
POSTGRESQL_SCHEME: Final = "postgresql+psycopg"
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
# as SQLAlchemy cuts it, of parts that leave no doubt where each one ends: an at sign ends a password
_SERVER: Final = re.compile(
    r"(?P<login>(?P<user>[^:/@?]*)(?P<password>:[^@]*)?@)?"
    r"(?P<host>\[(?P<ipv6>[0-9A-Za-z:.%]+)\]|[\w.,%~+-]*)(:(?P<port>[^@/?\[\]]*))?"
    r"(/(?P<name>[^@:/?]*))?(\?(?P<query>[^@]*))?"
)
_PORT: Final = re.compile(r"[0-9]{1,5}")
_HIGHEST_PORT: Final = 65_535
# the parameters that say which database is meant, and values of them that hold nothing else
_SHOWN_PARAMETERS: Final = frozenset({"host", "hostaddr", "port", "dbname", "service", "sslmode"})
_SHOWN_VALUE: Final = re.compile(r"@?[\w.,:/~+-]+")
_LIKE_A_PATH: Final = re.compile(r"[\w./~ -]+")
_NOT_SHOWN: Final = "(not shown)"
_NOT_PRINTABLE: Final = "a character in it cannot be printed"


def url_problem(url: str) -> str | None:
    """Return why a text is not the URL of a database that can be used; None: as far as it says, it is.

    Nothing of the URL is in the answer. Whether the file or the server exists is another question.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return "not a database URL"
    if not url.isprintable():
        return _NOT_PRINTABLE
    if found["scheme"] in SQLITE_SCHEMES:
        return _file_problem(found["rest"].partition("?")[0])
    return _server_problem(found["rest"]) if found["scheme"] == POSTGRESQL_SCHEME else "not supported"


def _file_problem(file: str) -> str | None:
    if file[:1] not in {"", "/"}:
        return "not a file"
    return None if unquote(file).isprintable() else _NOT_PRINTABLE


def _server_problem(text: str) -> str | None:
    server = _SERVER.fullmatch(text)
    if server is None or not _is_host(server):
        return (
            "it cannot be said where user, password, host and database begin; beyond the"
            " one behind the password, @ is written %40; in a user and a name of a database / is written"
            " %2F and : %3A; an IPv6 address is in brackets"
        )
    if not all(map(_are_ports, _ports(server))):
        return (
            "the port (not shown) is no number from 1 to 65535; several hosts with ports are written"
            " ?host=HOST1,HOST2&port=PORT1,PORT2"
        )
    if not server["name"]:
        return "no database is named"
    return None if unquote(server["name"]).isprintable() else _NOT_PRINTABLE


def display_url(url: str) -> str:
    """Return a database URL as it may be shown: without its password, wherever it stands.

    Of parameters those are shown that say which database is meant; of a URL that does not read cleanly, or
    is of another kind, the scheme; a text that is no URL, only if it can be a path.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return url if _LIKE_A_PATH.fullmatch(url) else _NOT_SHOWN
    scheme, rest = found["scheme"], found["rest"]
    if url.isprintable() and scheme in SQLITE_SCHEMES and rest[:1] in {"", "/"}:
        return f"{scheme}://{rest.partition('?')[0]}"
    is_server = scheme == POSTGRESQL_SCHEME and url.isprintable()
    server = _SERVER.fullmatch(rest) if is_server else None
    if server is None or not _is_host(server) or not all(map(_are_ports, _ports(server))):
        return f"{scheme}://..."
    login = "" if server["login"] is None else f"{server['user']}{':***' if server['password'] else ''}@"
    port = f":{server['port']}" if server["port"] else ""
    name = "" if server["name"] is None else f"/{server['name']}"
    parameters = "&".join(
        f"{key}={value}"
        for key, value in parse_qsl(server["query"] or "")
        if key in _SHOWN_PARAMETERS and _SHOWN_VALUE.fullmatch(value)
    )
    return f"{scheme}://{login}{server['host']}{port}{name}{'?' if parameters else ''}{parameters}"


def without_parameters(text: str, url: str) -> str:
    """Return a message about a database without the values of parameters of its URL that are not shown.

    Args:
        text: What a server or its client says: it repeats a value in quotation marks.
        url: The database.
    """
    for key, value in parse_qsl(url.partition("?")[2]):
        if value and not (key in _SHOWN_PARAMETERS and _SHOWN_VALUE.fullmatch(value)):
            text = text.replace(f'"{value}"', _NOT_SHOWN)
    return text


def _is_host(server: re.Match[str]) -> bool:
    try:
        return server["ipv6"] is None or bool(IPv6Address(server["ipv6"]))
    except AddressValueError:
        return False


def _ports(server: re.Match[str]) -> list[str]:
    """Return the ports that a URL names, several of them separated by commas where a parameter does."""
    return [
        server["port"] or "",
        *(value for key, value in parse_qsl(server["query"] or "") if key == "port"),
    ]


def _are_ports(text: str) -> bool:
    return all(
        not each or (_PORT.fullmatch(each) is not None and 0 < int(each) <= _HIGHEST_PORT)
        for each in text.split(",")
    )
