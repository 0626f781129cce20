"""Functions: cut out of filtered documents by grammar, with their documentation."""
