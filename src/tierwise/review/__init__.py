"""Reviews of pairs by people: what is drawn, what they decide, what that says about checks, judges and triggers."""

from __future__ import annotations
