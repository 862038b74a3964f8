"""Nearly linear heads on a stem's features, learnt in closed form: NumPy alone, so that a device learns them itself."""
