"""Metrics of agreement, correlation and calibration: name -> where it lives. One file and one line here add one.

Each is a `Metric` of `pipeline/metrics/base.py`: a table of items by columns to one number, or the reason why
there is none. `pipeline/metrics/bootstrap.py` gives the number its interval.
"""

METRICS: dict[str, str] = {
    "brier": "pipeline.metrics.calibration:BRIER",
    "cohen_kappa": "pipeline.metrics.kappa:COHEN",
    "ece": "pipeline.metrics.calibration:ECE",
    "fleiss_kappa": "pipeline.metrics.raters:FLEISS",
    "group_difference": "pipeline.metrics.means:GROUP_DIFFERENCE",
    "gwet_ac1": "pipeline.metrics.raters:GWET",
    "icc_1": "pipeline.metrics.icc:ICC_1",
    "icc_1_k": "pipeline.metrics.icc:ICC_1_K",
    "icc_a_1": "pipeline.metrics.icc:ICC_A_1",
    "icc_a_k": "pipeline.metrics.icc:ICC_A_K",
    "icc_c_1": "pipeline.metrics.icc:ICC_C_1",
    "icc_c_k": "pipeline.metrics.icc:ICC_C_K",
    "krippendorff_alpha": "pipeline.metrics.raters:KRIPPENDORFF",
    "krippendorff_alpha_interval": "pipeline.metrics.raters:KRIPPENDORFF_INTERVAL",
    "linear_kappa": "pipeline.metrics.kappa:LINEAR",
    "mean_difference": "pipeline.metrics.means:MEAN_DIFFERENCE",
    "partial_spearman": "pipeline.metrics.correlation:PARTIAL_SPEARMAN",
    "quadratic_kappa": "pipeline.metrics.kappa:QUADRATIC",
    "spearman": "pipeline.metrics.correlation:SPEARMAN",
}
