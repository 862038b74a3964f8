"""What devices sent, as it came: the newest of it on disk, within bounds, to be looked at and handed on."""
