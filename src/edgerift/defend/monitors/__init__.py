"""The monitors of queries, each in a module that registers it."""
