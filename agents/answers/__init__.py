"""Answers: whatever a model sent to a typed answer, or to the reason why there is none."""
