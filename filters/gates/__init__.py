"""What decides on an input at work: NumPy and onnxruntime only."""
