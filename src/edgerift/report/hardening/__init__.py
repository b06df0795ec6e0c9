"""Comparisons of hardened victims, extraction results, and defences of answers."""
