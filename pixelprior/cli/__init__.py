"""The command line: flags, tables, files. Nothing else prints."""
