"""What people look at: reports, charts, and pages that hold all they need. Nothing here knows Dagster."""
