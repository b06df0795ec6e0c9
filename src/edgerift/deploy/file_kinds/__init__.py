"""Kinds of files whose networks are originals, each registered by its module."""
