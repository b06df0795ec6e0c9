"""The card of a build."""
