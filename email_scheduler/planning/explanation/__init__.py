"""Why a contact gets, or does not get, an email: the published rows, and what the rules say of them.

Pure: the rows come from ``storage.read_contact``, and nobody but the caller knows the clock.
"""
