"""What a thing is and where it is kept: records, ids, settings, store. Imports no other room."""
