"""The numbers that sum up a clip's prosody: name in `Features.summary` -> unit, in the order of the view."""

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
