"""Judging a checkpoint: simulated sessions, metrics, results and what is made of them."""
