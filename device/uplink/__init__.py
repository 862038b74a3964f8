"""The device's connection to the coordinator: what is sent, how it is kept until it is answered, and the stream."""
