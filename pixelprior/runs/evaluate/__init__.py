"""A run measured on a split, by the kind of model."""
