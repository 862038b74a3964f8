"""Outputs as vectors, and back."""
