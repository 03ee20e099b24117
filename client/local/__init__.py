"""The whole system on one machine, without Docker: real processes on loopback ports."""
