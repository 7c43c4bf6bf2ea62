"""Looking after what runs: how each organisation does, and telling somebody when something is wrong."""
