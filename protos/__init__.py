"""The wire: edge.proto and the code generated from it."""
