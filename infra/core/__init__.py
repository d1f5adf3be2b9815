"""The shared resources of the five services: tables, bucket, bus, user pool, API, and the functions of core."""
