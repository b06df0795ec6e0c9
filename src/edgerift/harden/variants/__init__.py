"""The variants that a comparison can have, by what defends them; each registers itself."""
