"""Models loaded and run within the memory budget."""
