"""What the library needs of the machine: devices, processes, caches, files."""
