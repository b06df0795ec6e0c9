"""Comparisons of hardened victims, thefts, and defences of answers."""
