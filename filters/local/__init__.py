"""Light answers: what a model would say, told on the device by a head on a stem's features where it is sure enough."""
