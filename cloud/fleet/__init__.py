"""The devices of a site: what an operator says becomes of each, and how new ones come to be known."""
