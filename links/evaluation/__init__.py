"""Links judged on a trace."""
