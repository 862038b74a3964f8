"""Requests of the Open Inference Protocol, whichever face they come by."""
