"""The rules by which bounds pass operators; each module registers its own."""
