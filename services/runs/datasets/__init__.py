"""Datasets: named lists of inputs with expected outputs, in immutable versions."""
