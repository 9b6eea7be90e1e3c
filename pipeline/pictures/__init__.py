"""How two pictures are compared when key frames are chosen, by the names of `select.key_frame_method`."""

LIKENESS: dict[str, str] = {
    "difference": "pipeline.pictures.difference:Difference",
    "flow": "pipeline.pictures.flow:Flow",
    "orb": "pipeline.pictures.orb:Orb",
}
