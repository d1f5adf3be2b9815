"""AWS's JSON protocols without botocore, for the calls that every run makes. See decision 13."""
