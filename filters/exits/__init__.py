"""Early exit: a small model on the device stands in for a bigger one elsewhere, where it is sure enough."""
