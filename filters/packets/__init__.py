"""Is this packet worth decoding? A gate between a video's container and its decoder (PacketGame)."""
