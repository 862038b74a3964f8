"""The wire: edge.proto, federation.proto, and the code generated from them."""
