"""The networks that are trained to be filters (torch)."""
