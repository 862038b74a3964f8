"""What a model is: its spec, its session, its process, what it costs."""
