"""The `ainexus` command: the mesh on this machine, and any deployed one."""
