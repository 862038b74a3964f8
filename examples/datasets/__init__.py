"""Small models, and streams to try them on, made of public datasets that a user has downloaded."""
