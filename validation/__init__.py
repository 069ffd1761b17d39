"""Predictions of the theory, checked with numbers (``python -m validation``), and benchmarks."""
