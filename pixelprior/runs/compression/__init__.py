"""Compression of images with a trained run: from image files to symbols, and back."""
