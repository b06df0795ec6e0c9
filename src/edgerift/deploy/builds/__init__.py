"""Builds: a program compiled for one runtime, behind one protocol, whichever runtime it is."""
