"""What operators do besides planning."""
