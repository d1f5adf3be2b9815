"""The item of a month: its budget, open calls and slots."""
