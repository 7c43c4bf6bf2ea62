"""The ``email-scheduler`` command: parses, calls, prints."""

from email_scheduler.cli.app import app, main

__all__ = ["app", "main"]
