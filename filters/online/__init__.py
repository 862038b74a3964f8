"""A SKIP filter that is updated while it runs (the extended InFi paper's online active update)."""
