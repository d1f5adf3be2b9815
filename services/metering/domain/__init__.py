"""The rules of usage: what is counted, in which hour, and what it adds up to."""
