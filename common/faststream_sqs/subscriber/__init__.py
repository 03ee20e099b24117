"""Everything that receives."""
