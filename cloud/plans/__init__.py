"""What runs, and when that changes."""
