"""The planning rules, a module for each section; ``planning.plan`` holds their order."""
