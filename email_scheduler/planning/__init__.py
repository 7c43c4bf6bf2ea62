"""The planning rules as pure functions over columns: no IO, no clock, no randomness."""
