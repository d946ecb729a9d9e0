"""What is optimal: exact models, certified bounds, and the schedules that meet them."""
