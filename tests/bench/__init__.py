"""What is measured is written down as it was seen."""
