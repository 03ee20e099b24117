"""Tells clients' own servers what became of their predictions, by Standard Webhooks."""
