"""Files and arrays of pixels as images: formats, colours, and ranges of values."""
