"""The contacts themselves: loading them from files."""
