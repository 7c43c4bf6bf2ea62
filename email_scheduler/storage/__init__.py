"""SQL: the tables, reading them into frames, writing the plan."""
