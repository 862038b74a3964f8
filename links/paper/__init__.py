"""The MLink paper's own networks (AAAI 2022, TPAMI 2023): a link a pair of models, an ensemble a target."""
