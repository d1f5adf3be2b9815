"""Operations on datasets, their uploads and their items."""
