"""What exports need of the world outside: a bucket, a queue, and a writer of Parquet."""
