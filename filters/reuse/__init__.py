"""REUSE: a cache of results, in which a learned embedding finds the inputs that have the same result."""
