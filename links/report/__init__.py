"""Who predicts whom, as tables and a page."""
