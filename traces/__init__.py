"""Recordings of inputs and of what models said of them, and other systems' logs as recordings."""
