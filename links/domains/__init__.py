"""Links across domains: a stream that drifts, a person's labels, several sites, local with global (TPAMI 2023)."""
