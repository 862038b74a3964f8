"""The gRPC services that the coordinator offers."""
