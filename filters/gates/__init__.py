"""Gates at work: what decides whether an input is kept. NumPy and onnxruntime only."""
