"""What runs next at a site: the (stream, model) pairs and the loads that are worth most for what they cost."""
