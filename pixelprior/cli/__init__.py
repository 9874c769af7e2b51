"""The command line: flags, tables and files. No other package prints."""
