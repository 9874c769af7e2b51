"""Lossless coding of grids: as many bits as their probability under a model says."""
