"""Handing a message to a mail server or a webhook. No message or error holds an address or a password."""

import json
import logging
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final

from email_scheduler.config import AlertEmail, Alerts, AlertWebhook
from email_scheduler.errors import DeliveryError
from email_scheduler.health.incidents import Notice

EMAIL: Final = "email"
WEBHOOK: Final = "webhook"
_SECONDS: Final = 10
_MOST_SUBJECT: Final = 150
_logger = logging.getLogger(__name__)


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
    return f"[email-scheduler] {_title(first)}"[:_MOST_SUBJECT] + more


def text_of(notices: Sequence[Notice]) -> str:
    """Return the notices as plain text, a paragraph each."""
    return "\n\n".join("\n".join(filter(None, (_title(each), each.text))) for each in notices) + "\n"


def send_email(settings: AlertEmail, notices: Sequence[Notice]) -> None:
    """Send notices in one email.

    Raises:
        DeliveryError: The mail server did not take it for any recipient.
    """
    message = EmailMessage()
    message["Subject"] = subject_of(notices)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="email-scheduler.invalid")
    message.set_content(text_of(notices))
    password = None if settings.password_env is None else _variable(settings.password_env)
    try:
        with smtplib.SMTP(str(settings.smtp_host), settings.smtp_port, timeout=_SECONDS) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.username is not None and password is not None:
                server.login(settings.username, password)
            refused = server.send_message(message)
    except smtplib.SMTPResponseException as error:
        # what the server says may repeat addresses
        raise DeliveryError(f"the mail server refused: {type(error).__name__} {error.smtp_code}") from error
    except smtplib.SMTPException as error:
        raise DeliveryError(f"the mail server refused: {type(error).__name__}") from error
    except OSError as error:
        raise DeliveryError(f"the mail server cannot be reached: {error}") from error
    except ValueError as error:
        # such as an address that the server cannot take
        raise DeliveryError(f"the message cannot be sent: {type(error).__name__}") from error
    if refused:
        # the others have it, and would get it again
        _logger.warning("the mail server refused %d of %d recipients", len(refused), len(settings.recipients))


def post(settings: AlertWebhook, notices: Sequence[Notice]) -> None:
    """Post notices as JSON: ``text`` for people, as chat programs take it, and each one by itself.

    Raises:
        DeliveryError: The other side did not answer with a status 2xx.
    """
    url = settings.url or _variable(str(settings.url_env))
    if not url.startswith(("https://", "http://")):
        raise DeliveryError("the webhook's address does not begin with https:// or http://")
    body: dict[str, Any] = {
        "text": f"{subject_of(notices)}\n\n{text_of(notices)}",
        "notices": [asdict(notice) for notice in notices],
    }
    headers = {"Content-Type": "application/json", "User-Agent": "email-scheduler"}
    try:
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
        with _opener().open(request, timeout=_SECONDS) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"the webhook answered {error.code}") from error
    except (OSError, ValueError) as error:
        # the message of an error may repeat the address, which may hold a token
        reason = error.reason if isinstance(error, urllib.error.URLError) else type(error).__name__
        raise DeliveryError(f"the webhook cannot be reached: {reason}") from None
    if not 200 <= status < 300:
        raise DeliveryError(f"the webhook answered {status}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected message would arrive without its content."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise DeliveryError(f"environment variable {name} is not set")
    return value


def _title(notice: Notice) -> str:
    return f"Resolved: {notice.title}" if notice.is_resolved else notice.title
