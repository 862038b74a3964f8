"""Whether a filter is worth it, and what it loses."""
