"""Devices as the coordinator knows them: their connections, messages and inputs."""
