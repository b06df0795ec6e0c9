"""The networks that the zoo knows by name; each module here registers its own."""
