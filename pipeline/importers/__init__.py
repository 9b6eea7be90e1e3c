"""Importers: file ending -> function that reads manifest rows. One file and one line here add one."""

IMPORTERS: dict[str, str] = {
    ".csv": "pipeline.importers.manifest:read_csv",
    ".edl": "pipeline.importers.edl:read_edl",
    ".jsonl": "pipeline.importers.manifest:read_jsonl",
    ".parquet": "pipeline.importers.manifest:read_parquet",
}
