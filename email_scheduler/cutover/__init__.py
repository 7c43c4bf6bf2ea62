"""From the older program to this one: its history, and its plan beside ours. See docs/migration.md."""
