"""How phones come in: a certificate that they can trust, and an address that they are shown."""
