"""A trained run in one safetensors file: its weights, and everything that loading needs."""
