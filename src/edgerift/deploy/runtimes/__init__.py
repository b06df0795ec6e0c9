"""Builds: a program compiled for one runtime, behind one protocol."""
