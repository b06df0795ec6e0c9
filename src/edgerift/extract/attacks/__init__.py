"""The data-free attacks by name; each module registers one published attack."""
