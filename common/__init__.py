"""What the services must agree on, and nothing else."""
