"""What the five services stand on: tables, bucket, bus, user pool, API, and core's two functions."""
