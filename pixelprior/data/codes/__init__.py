"""Images as a tokenizer's codes, on disk."""
