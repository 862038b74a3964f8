"""The coordinator's web pages: what a person looks at."""
