"""Differentiable twins: modules made from a program, equal to it in value."""
