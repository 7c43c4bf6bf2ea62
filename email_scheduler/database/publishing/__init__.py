"""Publishing a plan: the planned rows of the database become those of the plan (section 13)."""
