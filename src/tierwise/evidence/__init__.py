"""What paired scores prove: certificates, intervals, drift. Arrays in, results out; knows no store and no screen."""

from __future__ import annotations

from tierwise.evidence.bootstrap import bootstrap_mean, bootstrap_ratio
from tierwise.evidence.drift import Monitor
from tierwise.evidence.e_process import confidence_sequence, log_e_process
from tierwise.evidence.estimate import Estimate, NotEnoughData, clopper_pearson, mean_interval, wilson
from tierwise.evidence.multiple import adjusted_e_values, bonferroni, e_bh, holm
from tierwise.evidence.portfolio import Outright, Selection, select
from tierwise.evidence.ppi import ppi_mean
from tierwise.evidence.retention import Certificate, certify, expected_pairs
from tierwise.evidence.signals import SignalAudit, audit

__all__ = [
    "Certificate",
    "Estimate",
    "Monitor",
    "NotEnoughData",
    "Outright",
    "Selection",
    "SignalAudit",
    "adjusted_e_values",
    "audit",
    "bonferroni",
    "bootstrap_mean",
    "bootstrap_ratio",
    "certify",
    "clopper_pearson",
    "confidence_sequence",
    "e_bh",
    "expected_pairs",
    "holm",
    "log_e_process",
    "mean_interval",
    "ppi_mean",
    "select",
    "wilson",
]
