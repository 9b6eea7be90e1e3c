"""Questions: records to the text, media and answer schema of a `Request`. Nothing is sent here."""
