"""Licence reasoning: expressions, detection, conclusions, admission and obligations.

Four axes per row, never folded into one another: content, wrapper, access terms, generator.
"""
