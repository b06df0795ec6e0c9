"""The adapted model as plain data, and what its graph may contain."""
