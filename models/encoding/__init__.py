"""An output of any kind as a short vector, and back."""
