"""Backups of an organisation's database: making, keeping and restoring them."""
