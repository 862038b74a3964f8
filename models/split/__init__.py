"""A model in two parts: the first on the device, the second in the cloud."""
