"""What somebody is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One thing that somebody is told.

    Attributes:
        title: What happened, in a few words.
        text: What is known of it, and what to do; empty of what is over.
        is_resolved: Whether it is over.
    """

    title: str
    text: str = ""
    is_resolved: bool = False
