"""What a million runs cost on AWS: counted calls, times list prices."""
