"""Sources: from a contract's origin to the rows of `raw/<source>`."""
