"""The networks that are trained to be links (torch), and their ONNX."""
