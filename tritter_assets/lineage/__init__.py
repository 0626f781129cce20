"""Lineage: explain a row, find where it went, and make it be forgotten."""
