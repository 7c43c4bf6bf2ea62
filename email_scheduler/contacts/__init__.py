"""Contacts as people change them: whom nobody may write to any more."""
