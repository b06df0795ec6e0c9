"""The compressions, one module each."""
