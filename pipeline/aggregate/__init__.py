"""Aggregation methods: name -> where it lives. One file and one line here add one."""

AGGREGATORS: dict[str, str] = {
    "majority": "pipeline.aggregate.majority:aggregate",
    "judge_weighted": "pipeline.aggregate.judge_weighted:aggregate",
}
