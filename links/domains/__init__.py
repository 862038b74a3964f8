"""Links across domains: to a person's labels, and of several sites that learn together (MLink, TPAMI 2023)."""
