"""A model: its spec, how it is fed and read, the process that it runs in, and what it costs."""
