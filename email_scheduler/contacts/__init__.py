"""Contacts as people change them: loading them from files, and whom nobody may write to any more."""
