"""Ternary (BitNet b1.58) training: packed sequences in, a checkpoint with its lineage out."""
