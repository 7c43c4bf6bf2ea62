"""The Dagster project: assets, checks, jobs, schedules."""
