"""Alerts over a real mail server and a real web server, both of this machine."""

import asyncio
import json
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import ValidationError

from email_scheduler.config.monitoring import AlertEmail, Alerts, AlertWebhook
from email_scheduler.errors import DeliveryError
from email_scheduler.health import delivery
from email_scheduler.health.delivery import channels_of, post, send_email, subject_of
from email_scheduler.health.incidents import Notice

NOTICES = [
    Notice("south: unhealthy", is_resolved=True),
    Notice("north: no plan of 2026-11-23 by 09:30", "What to do: look.\nFirst seen: 2026-11-23"),
]
SUBJECT = "[email-scheduler] north: no plan of 2026-11-23 by 09:30 and 1 more"


@dataclass
class Mailbox:
    """A mail server that keeps what it gets."""

    answer: str = "250 OK"
    envelopes: list[Envelope] = field(default_factory=list)
    unknown: frozenset[str] = frozenset()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return self.answer

    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(each.content, policy=policy.default) for each in self.envelopes]


@contextmanager
def mail_server(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class WebServer:
    """A web server that keeps what is posted to it."""

    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[str]:
        keeper = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                keeper.posts.append(json.loads(body))
                self.send_response(keeper.status)
                if keeper.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hooks/secret-token"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


# what a server sends, and again and again, while it never comes to an end
SLOW = {
    "silence": (b"", b""),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n"),
    "one byte": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "no HTTP": (b"SSH-2.0-nothing\r\n", b""),
    "greeting": (b"220-wait\r\n", b"220-wait\r\n"),
    "letters": (b"2", b"2"),
}


@contextmanager
def slow_server(kind: str) -> Iterator[str]:
    """Run a server that takes what it gets and answers too slowly, or with nonsense; yield its address."""
    first, again = SLOW.get(kind, (b"", b""))
    over = threading.Event()

    def answer(line: socket.socket) -> None:
        with line, suppress(OSError):
            line.sendall(first)
            while not over.wait(0.2):
                line.sendall(again)
                if kind == "no HTTP":
                    return

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/secret-token"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def email(port: int, **settings: Any) -> AlertEmail:
    return AlertEmail.model_validate(
        {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "starttls": False,
            "sender": "planner@example.com",
            "recipients": ["one@example.com", "two@example.com"],
            **settings,
        }
    )


def test_the_mail_server_gets_one_message_for_all_recipients() -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        send_email(email(port), NOTICES)
    (envelope,), (message,) = mailbox.envelopes, mailbox.messages()
    assert envelope.rcpt_tos == ["one@example.com", "two@example.com"]
    assert message["Subject"] == SUBJECT
    assert message["From"] == "planner@example.com"
    assert message["Date"]
    assert message.get_content().splitlines() == [
        "Resolved: south: unhealthy",
        "",
        "north: no plan of 2026-11-23 by 09:30",
        "What to do: look.",
        "First seen: 2026-11-23",
    ]


def test_a_mail_server_that_refuses_is_an_error_without_addresses() -> None:
    mailbox = Mailbox(answer="550 no such user one@example.com")
    with mail_server(mailbox) as port, pytest.raises(DeliveryError) as refused:
        send_email(email(port), NOTICES)
    assert "550" in str(refused.value)
    assert "example.com" not in str(refused.value)


def test_a_recipient_who_is_unknown_does_not_make_the_others_get_it_again() -> None:
    mailbox = Mailbox(unknown=frozenset({"one@example.com"}))
    with mail_server(mailbox) as port:
        send_email(email(port), NOTICES)
        assert [each.rcpt_tos for each in mailbox.envelopes] == [["two@example.com"]]
        mailbox.unknown = frozenset({"one@example.com", "two@example.com"})
        with pytest.raises(DeliveryError, match="refused"):
            send_email(email(port), NOTICES)


def test_a_mail_server_that_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(DeliveryError, match="cannot be reached"):
        send_email(email(free_port()), NOTICES)


def test_nothing_is_sent_in_the_clear_where_the_server_does_not_encrypt() -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port, pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
        send_email(email(port, starttls=True), NOTICES)
    assert mailbox.envelopes == []


def test_the_password_comes_from_the_environment_and_is_sent_after_starttls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(smtplib.SMTP, "starttls", lambda self, **_: said.append(("starttls",)))
    monkeypatch.setattr(smtplib.SMTP, "login", lambda self, *who: said.append(("login", *who)))
    settings = {"starttls": True, "username": "planner", "password_env": "ALERT_PASSWORD"}
    with mail_server(Mailbox()) as port:
        with pytest.raises(DeliveryError, match="environment variable ALERT_PASSWORD is not set"):
            send_email(email(port, **settings), NOTICES)
        monkeypatch.setenv("ALERT_PASSWORD", "a secret")
        send_email(email(port, **settings), NOTICES)
    assert said == [("starttls",), ("login", "planner", "a secret")]


def test_the_webhook_gets_a_text_for_people_and_each_notice_by_itself() -> None:
    server = WebServer()
    with server.running() as url:
        post(AlertWebhook(url=url), NOTICES)
    (body,) = server.posts
    assert body["text"].startswith(f"{SUBJECT}\n\nResolved: south")
    assert body["notices"][1] == {
        "title": "north: no plan of 2026-11-23 by 09:30",
        "text": "What to do: look.\nFirst seen: 2026-11-23",
        "is_resolved": False,
    }


@pytest.mark.parametrize("status", [302, 404, 500])
def test_any_answer_but_a_success_is_an_error_that_does_not_show_the_address(status: int) -> None:
    server = WebServer(status=status)
    with server.running() as url, pytest.raises(DeliveryError, match=str(status)) as refused:
        post(AlertWebhook(url=url), NOTICES)
    assert "secret-token" not in str(refused.value)


def test_a_webhook_that_cannot_be_reached_is_an_error_that_does_not_show_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK", f"http://127.0.0.1:{free_port()}/secret-token")
    with pytest.raises(DeliveryError, match="cannot be reached") as refused:
        post(AlertWebhook(url_env="ALERT_WEBHOOK"), NOTICES)
    assert "secret-token" not in str(refused.value)
    monkeypatch.setenv("ALERT_WEBHOOK", "file:///etc/hostname")
    with pytest.raises(DeliveryError, match="https"):
        post(AlertWebhook(url_env="ALERT_WEBHOOK"), NOTICES)


def threads_that_deliver() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "delivery"]


def ended(threads: Callable[[], list[threading.Thread]]) -> bool:
    until = time.monotonic() + 5
    while threads() and time.monotonic() < until:
        time.sleep(0.05)
    return not threads()


@pytest.mark.parametrize("kind", ["silence", "headers", "one byte", "no HTTP"])
def test_a_webhook_that_does_not_come_to_an_end_is_given_up_at_one_deadline(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(delivery, "_SECONDS", 1)
    with slow_server(kind) as url:
        began = time.monotonic()
        with pytest.raises(DeliveryError) as refused:
            post(AlertWebhook(url=url), NOTICES)
        assert time.monotonic() - began < 4
        # the connection is cut: nothing is left that goes on listening
        assert ended(threads_that_deliver)
    assert "secret-token" not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


@pytest.mark.parametrize("kind", ["silence", "greeting", "letters"])
def test_a_mail_server_that_does_not_come_to_an_end_is_given_up_at_one_deadline(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(delivery, "_SECONDS", 1)
    with slow_server(kind) as url:
        began = time.monotonic()
        with pytest.raises(DeliveryError):
            send_email(email(urlsplit(url).port or 0), NOTICES)
        assert time.monotonic() - began < 4
        assert ended(threads_that_deliver)


def test_a_mail_server_that_says_no_farewell_has_the_message_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_SECONDS", 3)

    async def never(*_: object) -> str:
        await asyncio.sleep(60)
        return "221 Bye"

    mailbox = Mailbox()
    monkeypatch.setattr(Mailbox, "handle_QUIT", never, raising=False)
    with mail_server(mailbox) as port:
        send_email(email(port), NOTICES)
    assert len(mailbox.messages()) == 1


@pytest.mark.parametrize(
    "address",
    [
        *("https://example.com/secret token", "https://example.com/\x07secret-token", "secret-token"),
        *("https://example.com:99999/secret-token", "https://[::1/secret-token", "https:///secret-token"),
        *(
            "https://ex\u00e4mple.com/secret-token",
            "file:///secret-token",
            "https://example.com/secret-token\n",
        ),
    ],
)
def test_an_address_that_cannot_be_called_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK", address)
    with pytest.raises(DeliveryError, match="accepted is a URL") as refused:
        post(AlertWebhook(url_env="ALERT_WEBHOOK"), NOTICES)
    assert "secret" not in str(refused.value)


def test_a_character_that_cannot_be_written_keeps_nothing_from_being_told() -> None:
    mailbox, server = Mailbox(), WebServer()
    odd = Notice("north: \udc80 failed\nBcc: c@example.com", "a \udcff file")
    with mail_server(mailbox) as port, server.running() as url:
        send_email(email(port), [odd, *NOTICES])
        post(AlertWebhook(url=url), [odd, *NOTICES])
    (message,), (body,) = mailbox.messages(), server.posts
    assert message["Bcc"] is None
    assert "a ? file" in message.get_content()
    assert len(body["notices"]) == 3


def test_nobody_is_told_until_somebody_is_named() -> None:
    assert channels_of(Alerts()) == {}
    both = Alerts(email=email(25), webhook=AlertWebhook(url="https://example.com/x"))
    assert list(channels_of(both)) == ["email", "webhook"]


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_host": "mail.example.com"},
        {"recipients": ["not an address"]},
        {"sender": "a@example.com\nBcc: b@example.com"},
        {"username": "planner"},
        {"smtp_host": "mail example"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="accepted is"):
        AlertEmail.model_validate(settings)
    with pytest.raises(ValidationError, match="accepted is"):
        AlertWebhook.model_validate({"url": "ftp://example.com"})


def test_a_subject_stays_one_short_line() -> None:
    assert len(subject_of([Notice("x" * 500)])) == 150
