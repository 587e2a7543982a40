"""What paired scores prove: certificates, intervals, drift. Arrays in, results out; knows no store and no screen."""

from __future__ import annotations

from tierwise.evidence.bootstrap import bootstrap_mean, bootstrap_ratio
from tierwise.evidence.drift import Monitor
from tierwise.evidence.e_process import confidence_sequence, log_e_process
from tierwise.evidence.estimate import Estimate, NotEnoughData, clopper_pearson, mean_interval, wilson
from tierwise.evidence.judged import certify_judged
from tierwise.evidence.judges import Agreement, PositionBias, agreement, bias, position_bias, ppi
from tierwise.evidence.multiple import adjusted_e_values, bonferroni, e_bh, holm
from tierwise.evidence.portfolio import IN_TENTHS, Outright, Selection, select
from tierwise.evidence.power import Money, Plan, plan
from tierwise.evidence.retention import Certificate, certify, expected_pairs, first_scores
from tierwise.evidence.signals import SignalAudit, audit

__all__ = [
    "IN_TENTHS",
    "Agreement",
    "Certificate",
    "Estimate",
    "Money",
    "Monitor",
    "NotEnoughData",
    "Outright",
    "Plan",
    "PositionBias",
    "Selection",
    "SignalAudit",
    "adjusted_e_values",
    "agreement",
    "audit",
    "bias",
    "bonferroni",
    "bootstrap_mean",
    "bootstrap_ratio",
    "certify",
    "certify_judged",
    "clopper_pearson",
    "confidence_sequence",
    "e_bh",
    "expected_pairs",
    "first_scores",
    "holm",
    "log_e_process",
    "mean_interval",
    "plan",
    "position_bias",
    "ppi",
    "select",
    "wilson",
]
