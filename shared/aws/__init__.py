"""AWS's JSON protocols without botocore, for the calls that every run makes. Decision 13 says why."""
