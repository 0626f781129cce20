"""The fifteen filters: each says what it thinks of a document, `apply` acts on it once."""
