"""What a function is shipped as: its own closure of modules and packages, compiled, and nothing else."""
