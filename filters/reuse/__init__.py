"""REUSE: an input whose result a cache holds already, told by a learned embedding."""
