"""From decisions to an immutable version: rows, splits, card, files; and the proof that it is whole."""
