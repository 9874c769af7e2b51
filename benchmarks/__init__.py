"""Benchmarks: one command, one table each, beside the machine's own matrix product."""
