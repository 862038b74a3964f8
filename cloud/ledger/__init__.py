"""What the coordinator answered, on disk before it is sent; and what it decided, planned and found out meanwhile."""
