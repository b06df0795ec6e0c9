"""The checks of a verification, each registered by its module."""
