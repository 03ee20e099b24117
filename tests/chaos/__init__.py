"""The system under random faults, and the account of every file that it took: ``make chaos``."""
