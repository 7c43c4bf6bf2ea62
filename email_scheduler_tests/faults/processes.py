"""Planners and senders as processes of their own, which can be suspended and killed."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy.exc import IntegrityError, OperationalError

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import EmailSchedulerError
from email_scheduler.planning_run import plan_and_publish
from email_scheduler_tests.reference_sender import Email, RefusedError, Sender

_PROCESSES = multiprocessing.get_context("forkserver")
# a new process has everything imported already, and no threads
_PROCESSES.set_forkserver_preload([__name__])

REFUSED_EXIT_CODE = 3


def start_planner(url: str, settings: Mapping[str, Any], as_of: date, log: Path) -> BaseProcess:
    """Start a process that plans once and publishes.

    Its exit code is 0, or ``REFUSED_EXIT_CODE`` after an error of the package, which is added to ``log``.
    Anything else, such as a stack trace, is another exit code.
    """
    process = _PROCESSES.Process(target=_plan, args=(url, settings, as_of, log))
    process.start()
    return process


def plan_in_process(url: str, settings: Mapping[str, Any], as_of: date, log: Path) -> int:
    """Plan in a process of its own; return its exit code."""
    process = start_planner(url, settings, as_of, log)
    process.join(120)
    assert process.exitcode is not None, "a planner did not end within two minutes"
    return process.exitcode


@contextmanager
def running_sender(url: str, day: date, outbox: Path, seed: int) -> Iterator[None]:
    """Send what is due on a day, again and again, while the block runs.

    The sender is killed and started again now and then. What the provider got stands in ``outbox``, an id of
    ``email_schedules`` on each line.
    """
    stop = _PROCESSES.Event()
    guard = _PROCESSES.Process(target=_keep_sending, args=(url, day, outbox, seed, stop))
    guard.start()
    try:
        yield
    finally:
        stop.set()
        guard.join(60)
        if guard.exitcode is None:
            guard.kill()
    assert guard.exitcode == 0, f"the sender ended with exit code {guard.exitcode}"


def _plan(url: str, settings: Mapping[str, Any], as_of: date, log: Path) -> None:
    try:
        plan_and_publish(url, SchedulerConfig.model_validate(dict(settings)), as_of)
    except EmailSchedulerError as error:
        with log.open("a") as file:
            file.write(f"{type(error).__name__}: {error}\n")
        os._exit(REFUSED_EXIT_CODE)


def _keep_sending(url: str, day: date, outbox: Path, seed: int, stop: Any) -> None:
    rng = random.Random(seed)
    while not stop.is_set():
        turn_seed = rng.random()
        process_id = os.fork()
        if process_id == 0:
            _send(url, day, outbox, turn_seed)
        time.sleep(rng.uniform(1, 4))
        # in the middle of whatever it does
        os.kill(process_id, signal.SIGKILL)
        os.waitpid(process_id, 0)


def _send(url: str, day: date, outbox: Path, seed: float) -> NoReturn:
    rng = random.Random(seed)
    morning = datetime(day.year, day.month, day.day, 9, tzinfo=TIME_ZONE)
    sender: Sender

    def hand_over(email: Email) -> None:
        if rng.random() < 0.1:
            raise RefusedError
        with outbox.open("a") as file:
            file.write(f"{email.id}\n")
        if rng.random() < 0.1:
            raise ConnectionError("it may have been sent")
        time.sleep(rng.uniform(0, 0.02))
        _react(sender, rng, email)

    sender = Sender(url, hand_over, lambda: morning)
    while True:
        # a planner may hold the database for longer than a driver waits by itself
        with suppress(OperationalError):
            sender.send_due_emails()
        time.sleep(0.05)


def _react(sender: Sender, rng: random.Random, email: Email) -> None:
    """Let some of those who got an email click, answer or unsubscribe."""
    chance = rng.random()
    if chance < 0.2:
        sender.record_click(email.contact_id, email.id)
    elif chance < 0.3:
        sender.record_answer(email.contact_id, '{"main_questions_yes_count": 1}')
    elif chance < 0.33:
        with suppress(IntegrityError):
            sender.suppress(email.contact_id, "unsubscribed")
