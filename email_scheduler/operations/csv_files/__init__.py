"""CSV files that operators bring: reading them a line at a time, finding their contacts, writing others."""
