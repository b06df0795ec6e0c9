"""Reports of a study: text, one HTML page, pictures, and tables."""
