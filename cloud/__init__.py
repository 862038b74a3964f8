"""The coordinator daemon: runs the models that fit the budget and predicts the others."""
