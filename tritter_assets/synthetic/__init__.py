"""Synthetic rows: made by rules from rows that passed the filters, licences inherited."""
