"""Redundancy rules: they say which inputs a model need not run on."""
