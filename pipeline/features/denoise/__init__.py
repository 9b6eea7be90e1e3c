"""What a recogniser may hear instead of the original: name -> where it lives. One file and one line here add one.

Source separation would stand here as well: a function from sound to sound of the same length.
"""

DENOISERS: dict[str, str] = {
    "afftdn": "pipeline.features.denoise.afftdn:AFFTDN",
}
