"""Operations of clients, of the worker and of the reaper on runs."""
