"""From a trace to a filter."""
