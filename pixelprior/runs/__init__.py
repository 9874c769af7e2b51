"""One trained run: load it, train it, sample from it, evaluate it."""
