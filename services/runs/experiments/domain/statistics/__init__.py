"""The statistics of experiments, in pure Python. Each function names its source."""
