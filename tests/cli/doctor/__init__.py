"""The checks of the doctor, without a mesh."""
