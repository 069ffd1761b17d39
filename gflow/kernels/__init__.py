"""Compiled mathematics: pure functions of arrays, no I/O, no state. Imported when first needed."""
