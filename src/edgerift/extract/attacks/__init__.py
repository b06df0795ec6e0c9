"""The data-free attacks by name; each module here registers what its publication does."""
