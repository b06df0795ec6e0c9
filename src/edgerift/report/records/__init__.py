"""Every measured figure of a study, as one long table."""
