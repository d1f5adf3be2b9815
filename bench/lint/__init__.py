"""Precision and recall of the linter's rules on a generated corpus."""
