"""Segmenters: rule -> where it lives. One file and one line here add one."""

SEGMENTERS: dict[str, str] = {
    "shots": "pipeline.segment.shots:SEGMENTER",
    "speech": "pipeline.segment.speech:SEGMENTER",
    "both": "pipeline.segment.both:SEGMENTER",
    "fixed": "pipeline.segment.fixed:SEGMENTER",
    "given": "pipeline.segment.given:SEGMENTER",
    "whole": "pipeline.segment.whole:SEGMENTER",
}
