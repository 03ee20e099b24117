"""One encoded sample of every form of message that was ever released. Files are only added."""
