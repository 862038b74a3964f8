"""The first layers of one of the user's own models, at a small input: what filters, reuse, links and answers read."""
