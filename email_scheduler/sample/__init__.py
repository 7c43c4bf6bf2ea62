"""A sample organisation: what ``email-scheduler generate`` and ``demo`` make."""

from email_scheduler.sample.sample_data import generate_sample

__all__ = ["generate_sample"]
