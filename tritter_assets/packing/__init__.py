"""Packing: the tokenizer, fixed-length training sequences, and the way back to the documents."""
