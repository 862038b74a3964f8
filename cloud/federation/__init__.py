"""Several sites learn a link together: an aggregator, its sites, and their wire (MLink, TPAMI 2023, Algorithm 1)."""
