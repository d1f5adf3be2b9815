"""Who asks, for which tenant, and what that lets them do."""
