"""The stack of one service, made from its declaration."""
