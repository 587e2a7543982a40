"""Certify a cheaper model on paired scores, and see how many pairs are missing when there are too few.

python examples/evidence.py
"""

from __future__ import annotations

import numpy as np

from tierwise.evidence import certify

rng = np.random.default_rng(7)
strong = (rng.random(600) < 0.9).astype(float)
weak = np.where(rng.random(600) < 0.97, strong, 1.0 - strong)

for pairs in (50, 200, 600):
    print(certify(weak[:pairs], strong[:pairs]).describe())
