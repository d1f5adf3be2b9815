"""The tenant's monthly limits and its slots: reserve before a call, settle after it."""
