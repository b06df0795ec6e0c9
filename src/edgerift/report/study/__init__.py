"""What a person reads of a study: text, one HTML page, pictures, and tables."""
