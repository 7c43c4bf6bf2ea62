"""What a change of the configuration does: what-if, its versions, and the way back."""
