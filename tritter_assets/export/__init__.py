"""Exports of a trained checkpoint (safetensors, GGUF) and the checks that they are the same model."""
