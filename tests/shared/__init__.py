"""What all services speak."""
