"""The query policies of an attacker with images; each module here registers its own."""
