"""The agent: what runs beside the camera. Never imports torch, training code, or cloud."""
