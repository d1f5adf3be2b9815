"""Adapters for exports: the bucket, the queue, and the Parquet writer."""
