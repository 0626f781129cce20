"""What the indexes hold in memory where no profile says otherwise."""

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30
