"""Folders of image files: finding the files, and inspecting each file once."""
