"""What runs is chosen anew while the coordinator serves: what links reach now, in which context, and when to switch."""
