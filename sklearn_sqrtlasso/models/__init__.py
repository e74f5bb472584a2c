"""Models with parameters: maps from rows to codes, losses and their gradients."""
