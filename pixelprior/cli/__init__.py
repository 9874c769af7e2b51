"""The command line: flags, tables and files. Only this package prints results."""
