"""What a service keeps of another one's state, learnt from its events."""
