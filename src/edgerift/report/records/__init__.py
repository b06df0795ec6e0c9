"""Every measured value of a study, as one long table."""
