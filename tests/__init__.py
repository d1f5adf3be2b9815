"""What can fail, asserted; the folders mirror the source."""
