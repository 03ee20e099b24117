"""Sample files: made by a seed, in the dialects of the shipped contracts, of nobody's data."""

from orchestration.samples.generator import generate
from orchestration.samples.profile import shipped_profile

__all__ = ["generate", "shipped_profile"]
