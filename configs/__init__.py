"""Included experiments: one recipe for each data set."""
