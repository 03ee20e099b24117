"""The HTTP face: files in, labels out."""
