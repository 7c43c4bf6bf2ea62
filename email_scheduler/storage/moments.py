"""The time of day, as it is stored."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time of day, for timestamps and locks; planning never asks for it."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as it is stored: ISO 8601 in UTC with its offset, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
