"""Solvers: each carries a network along its flow and shares the switching rules of the kernels."""
