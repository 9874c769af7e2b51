"""Images as codes of a tokenizer, on disk or in memory."""
