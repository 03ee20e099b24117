"""The broker, its router, and what they share."""
