"""The commands and links of the guides are valid."""
