"""The experiments that come along, one a file."""
