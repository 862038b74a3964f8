"""Predict one model's output from the outputs of others."""
