"""Checks of the theory: ``python -m validation``; of speed: ``python -m validation.performance``."""
