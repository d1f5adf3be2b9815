"""The benchmarks store their measurements unchanged."""
