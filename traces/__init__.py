"""Recordings of inputs and the models' outputs for them, also made from other systems' logs."""
