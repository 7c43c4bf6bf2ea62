"""Plans which email every contact of a health-insurance agency gets on which day."""
