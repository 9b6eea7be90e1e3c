"""The numbers that sum up a clip's prosody: name in `Features.summary` -> unit, in the order of the view."""

# Of every backend.
SUMMARY_UNITS: dict[str, str] = {
    "pitch_median_hz": "Hz",
    "pitch_range_st": "semitone",
    "pitch_sd_st": "semitone",
    "intensity_mean_db": "dB",
    "intensity_range_db": "dB",
    "speech_rate_syl_s": "syllable/s",
    "pause_count": "",
    "pause_share": "",
    "longest_pause_s": "s",
    "speech_s": "s",
    "voiced_s": "s",
}

# Of backends that measure it, beside the numbers above.
VOICE_QUALITY_UNITS: dict[str, str] = {
    "jitter_local": "",
    "jitter_rap": "",
    "shimmer_local": "",
    "shimmer_apq3": "",
    "hnr_db": "dB",
}
