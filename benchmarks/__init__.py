"""Benchmarks. Each command prints a table, and the speed of a matrix product on the machine."""
