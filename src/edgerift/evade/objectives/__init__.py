"""The objectives that an attack knows by name; each module here registers its own."""
