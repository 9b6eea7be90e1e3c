"""Evidence: what a claim says, and whether the signal bears it out."""
