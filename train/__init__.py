"""The pipeline that trains and judges what the app serves; run it as ``python -m train``."""
