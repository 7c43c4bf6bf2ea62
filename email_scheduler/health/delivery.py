"""Handing a message to a mail server or a webhook. No message or error holds an address or a password."""

import json
import logging
import os
import smtplib
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import asdict
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, TypeVar

from email_scheduler.config import WEB_ADDRESS, AlertEmail, Alerts, AlertWebhook, is_web_address
from email_scheduler.errors import DeliveryError
from email_scheduler.health.incidents import Notice

EMAIL: Final = "email"
WEBHOOK: Final = "webhook"
_SECONDS: Final = 10
_MOST_SUBJECT: Final = 150
_logger = logging.getLogger(__name__)


_Line = TypeVar("_Line", bound=HTTPConnection | smtplib.SMTP)
_Answer = TypeVar("_Answer")
Deliver = Callable[[Sequence[Notice]], None]


def channels_of(alerts: Alerts) -> Mapping[str, Deliver]:
    """Return how notices are delivered, by the name of each way; nothing if nobody is to be told."""
    channels: dict[str, Deliver] = {}
    if alerts.email.smtp_host is not None:
        channels[EMAIL] = lambda notices: send_email(alerts.email, notices)
    if alerts.webhook.url is not None or alerts.webhook.url_env is not None:
        channels[WEBHOOK] = lambda notices: post(alerts.webhook, notices)
    return channels


def subject_of(notices: Sequence[Notice]) -> str:
    """Return the notices in one line."""
    # what has happened before what is over
    first = min(notices, key=lambda notice: notice.is_resolved)
    more = f" and {len(notices) - 1} more" if len(notices) > 1 else ""
    title = " ".join(_title(first).split())
    return f"[email-scheduler] {title}"[:_MOST_SUBJECT] + more


def text_of(notices: Sequence[Notice]) -> str:
    """Return the notices as plain text, a paragraph each."""
    text = "\n\n".join("\n".join(filter(None, (_title(each), each.text))) for each in notices) + "\n"
    # one character that cannot be written must not keep all from being told
    return text.encode("utf-8", "replace").decode()


def send_email(settings: AlertEmail, notices: Sequence[Notice]) -> None:
    """Send notices in one email.

    Raises:
        DeliveryError: The mail server did not take it for any recipient, or not before the deadline.
    """
    message = EmailMessage()
    message["Subject"] = subject_of(notices)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="email-scheduler.invalid")
    message.set_content(text_of(notices))
    password = None if settings.password_env is None else _variable(settings.password_env)
    call = _Call()

    def send() -> Mapping[str, Any]:
        server = _Smtp(call, str(settings.smtp_host), settings.smtp_port)
        try:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.username is not None and password is not None:
                server.login(settings.username, password)
            refused = server.send_message(message)
            # it has the message: what it says to the farewell makes no difference, and is not waited for
            with suppress(OSError, smtplib.SMTPException):
                server.putcmd("quit")
            return refused
        finally:
            server.close()

    try:
        refused = call.make(send)
    except smtplib.SMTPResponseException as error:
        # what the server says may repeat addresses
        raise DeliveryError(f"the mail server refused: {type(error).__name__} {error.smtp_code}") from error
    except smtplib.SMTPException as error:
        raise DeliveryError(f"the mail server refused: {type(error).__name__}") from error
    except OSError as error:
        raise DeliveryError(f"the mail server cannot be reached: {_reason(error)}") from error
    except ValueError as error:
        # such as an address that the server cannot take
        raise DeliveryError(f"the message cannot be sent: {type(error).__name__}") from error
    if refused:
        # the others have it, and would get it again
        _logger.warning("the mail server refused %d of %d recipients", len(refused), len(settings.recipients))


def post(settings: AlertWebhook, notices: Sequence[Notice]) -> None:
    """Post notices as JSON: ``text`` for people, as chat programs take it, and each one by itself.

    Raises:
        DeliveryError: The other side did not answer with a status 2xx before the deadline.
    """
    url = settings.url or _variable(str(settings.url_env))
    if not is_web_address(url):
        raise DeliveryError(f"the webhook's address (not shown) is not accepted: accepted is {WEB_ADDRESS}")
    body: dict[str, Any] = {
        "text": f"{subject_of(notices)}\n\n{text_of(notices)}",
        "notices": [asdict(notice) for notice in notices],
    }
    headers = {"Content-Type": "application/json", "User-Agent": "email-scheduler"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
    call = _Call()
    opener = urllib.request.build_opener(_NoRedirect, _Http(call), _Https(call))

    def send() -> int:
        with opener.open(request, timeout=_SECONDS) as answer:
            return int(answer.status)

    try:
        status = call.make(send)
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"the webhook answered {error.code}") from None
    except (OSError, ValueError, HTTPException) as error:
        # the message of an error may repeat the address, which may hold a token
        raise DeliveryError(f"the webhook cannot be reached: {_reason(error)}") from None
    if not 200 <= status < 300:
        raise DeliveryError(f"the webhook answered {status}")


class _Call:
    """One delivery, all of which ends at one deadline, whatever the other side does, or how slowly.

    A time limit of a socket is one of each read, so that whoever sends a little now and then is waited for.
    """

    def __init__(self) -> None:
        self._lines: list[HTTPConnection | smtplib.SMTP] = []

    def over(self, line: _Line) -> _Line:
        """Return a connection, which is cut at the deadline if it is still there."""
        self._lines.append(line)
        return line

    def make(self, send: Callable[[], _Answer]) -> _Answer:
        """Return what ``send`` returns, or raise what it raises.

        Raises:
            DeliveryError: It has not come to its end at the deadline.
        """
        outcome: Future[_Answer] = Future()

        def run() -> None:
            try:
                outcome.set_result(send())
            except BaseException as error:
                outcome.set_exception(error)

        # looking up a name cannot be cut: nothing waits for the thread
        threading.Thread(target=run, name="delivery", daemon=True).start()
        if not wait([outcome], timeout=_SECONDS).done:
            for line in self._lines:
                if line.sock is not None:
                    with suppress(OSError):
                        line.sock.shutdown(socket.SHUT_RDWR)
            raise DeliveryError(f"it did not come to its end within {_SECONDS} seconds")
        return outcome.result()


class _Smtp(smtplib.SMTP):
    def __init__(self, call: _Call, host: str, port: int) -> None:
        # before it connects, which its constructor does
        call.over(self)
        super().__init__(host, port, timeout=_SECONDS)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, call: _Call) -> None:
        super().__init__()
        self._call = call

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(lambda *a, **k: self._call.over(HTTPConnection(*a, **k)), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, call: _Call) -> None:
        super().__init__()
        self._call = call

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(lambda *a, **k: self._call.over(HTTPSConnection(*a, **k)), req)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected message would arrive without its content."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise DeliveryError(f"environment variable {name} is not set")
    return value


def _reason(error: Exception) -> str:
    """Return what an error says without the address that it is about."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLError):
        return str(cause.reason or type(cause).__name__)
    said = cause.strerror if isinstance(cause, OSError) else None
    return said or type(cause).__name__


def _title(notice: Notice) -> str:
    return f"Resolved: {notice.title}" if notice.is_resolved else notice.title
