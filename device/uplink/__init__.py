"""What leaves the device, and what comes back."""
