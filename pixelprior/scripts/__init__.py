"""The command lines: flags, then one call. One of them a process: they share names of flags."""
