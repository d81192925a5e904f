"""Generated scans with lesions, for the demo, the tests and training without data."""

from __future__ import annotations

from caiseg.synthetic.config import BRAIN_FLAIR, SyntheticScanConfig
from caiseg.synthetic.demo import demo_scan
from caiseg.synthetic.scan import SyntheticScan, generate_scan

__all__ = ["BRAIN_FLAIR", "SyntheticScan", "SyntheticScanConfig", "demo_scan", "generate_scan"]
