"""Mixes: which admitted rows train which phase, how often, and whether the supply is enough."""
