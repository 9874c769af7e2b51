"""The experiments that come along, one recipe for each data set."""
