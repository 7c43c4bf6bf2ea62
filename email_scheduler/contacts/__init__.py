"""Contacts as people change them: files of contacts, new ids, and whom nobody may write to any more."""
