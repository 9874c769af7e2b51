"""Not to be mistaken for the tests that another package may have installed by this name."""
