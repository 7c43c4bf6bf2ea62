"""What people look at: charts, and pages that hold all that they need. Nothing here reads a database."""
