"""What the scheduler reads: a line a graph, all else is imported."""
