"""What the command lines do, and what they share."""
