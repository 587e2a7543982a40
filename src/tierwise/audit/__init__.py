"""What a team wants to know first about its calls: task mix, spend, other models' cost, and what of it is proved."""

from __future__ import annotations

from tierwise.audit.report import Audit, Candidate, ModelAudit, Territory, audit

__all__ = ["Audit", "Candidate", "ModelAudit", "Territory", "audit"]
