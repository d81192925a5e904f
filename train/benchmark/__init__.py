"""``python -m train benchmark``: how fast things are on this machine, one file each."""
