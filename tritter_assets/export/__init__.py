"""Exports of a trained checkpoint, and the checks that they are the same model."""
