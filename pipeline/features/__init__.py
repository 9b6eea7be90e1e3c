"""Feature extractors: `stage.backend` -> where it lives. One file and one line here add one."""

EXTRACTORS: dict[str, str] = {
    "diarize.rttm": "pipeline.features.diarize_rttm:RttmTurns",
    "diarize.transcript": "pipeline.features.diarize_transcript:TranscriptTurns",
    "diarize.pyannote": "pipeline.features.diarize_pyannote:PyannoteDiarizer",
    "diarize.none": "pipeline.features.diarize_none:NoDiarizer",
    "asr.sidecar": "pipeline.features.asr_sidecar:SidecarTranscript",
    "asr.manifest": "pipeline.features.asr_sidecar:ManifestTranscript",
    "asr.meld": "pipeline.features.asr_sidecar:MeldTranscript",
    "asr.whisperx": "pipeline.features.asr_whisperx:WhisperX",
    "asr.faster_whisper": "pipeline.features.asr_faster_whisper:FasterWhisper",
    "asr.pocketsphinx": "pipeline.features.asr_pocketsphinx:PocketSphinxAsr",
    "prosody.core": "pipeline.features.prosody:CoreProsody",
    "prosody.praat": "pipeline.features.prosody_praat:PraatProsody",
    "prosody.opensmile": "pipeline.features.prosody_opensmile:OpensmileProsody",
    "prosody.csv": "pipeline.features.prosody_csv:CsvProsody",
    "au.mediapipe": "pipeline.features.au_mediapipe:MediapipeAus",
    "au.pyfeat": "pipeline.features.au_pyfeat:PyfeatAus",
    "au.openface": "pipeline.features.au_tables:OpenfaceAus",
    "au.pyfeat_csv": "pipeline.features.au_tables:PyfeatTableAus",
    "pose.mediapipe": "pipeline.features.pose_mediapipe:MediapipePose",
    "series.sidecar": "pipeline.features.series_sidecar:SeriesSidecar",
}
