"""Results to others, as they are kept: a gRPC stream, MQTT with Home Assistant, webhooks."""
