"""The steps that bring a database up to date, run by ``email_scheduler.database.upgrade``.

A new step is a module in ``versions`` with the next number, that changes what the steps before it have made;
those stay as they are, with the tables that they know (``schema_0001``).
"""
