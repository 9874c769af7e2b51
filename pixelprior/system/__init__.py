"""Interface to the machine: devices, processes, caches and files."""
