"""Examples that install with the package."""
