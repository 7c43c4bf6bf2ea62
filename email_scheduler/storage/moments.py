"""The time of day, as it is stored."""

from datetime import UTC, datetime, tzinfo


def utc_now() -> datetime:
    """Return the time of day, for timestamps and locks; planning never asks for it."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as it is stored: ISO 8601 in UTC with its offset, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def read_moment(text: str | None, without_offset: tzinfo = UTC) -> datetime | None:
    """Return a moment as it was stored; None where it is none.

    Args:
        text: ISO 8601.
        without_offset: What a time without an offset is: UTC is what this program writes, and what SQLite
            fills in (``CURRENT_TIMESTAMP``); the sending system's times are US Central by the contract.
    """
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=without_offset)
