"""A finished run: the result, its evidence, how it is saved."""
