"""Grace under heat and bad links: what an agent leaves out when the device or its link can't bear all of it."""
