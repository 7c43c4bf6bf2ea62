"""The words of the planning rules, each said once, as data: what it is called, and what it means.

Planner, configuration, explanation, simulation and database take names, defaults and sentences from here;
the proof has its own. Nothing is imported but Python's own library, so that the configuration, which is below
planning, may read it, too.
"""
