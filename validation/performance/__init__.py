"""Wall time against accuracy, side by side with other solvers, in one run on one machine."""
