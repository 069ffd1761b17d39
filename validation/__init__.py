"""Checks that take longer than tests: ``python -m validation.performance``."""
