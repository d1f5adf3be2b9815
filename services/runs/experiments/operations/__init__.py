"""Operations on experiments: definition, scheduling, scoring and results."""
