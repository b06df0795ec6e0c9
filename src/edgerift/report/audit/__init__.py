"""The audit: in a terminal, as one HTML page, and for CI systems."""
