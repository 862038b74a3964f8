"""What runs: exact choices under budgets, and why."""
