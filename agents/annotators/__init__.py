"""Annotators: samples in, annotations out, by one model, several wordings or two steps."""
