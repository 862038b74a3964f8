"""When an input is redundant."""
