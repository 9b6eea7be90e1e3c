"""Judges: who rates annotations, what is hidden from them, and whom they must not rate."""
