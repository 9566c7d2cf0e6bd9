"""Timing the compiled steps against the same work in PyTorch; no training run imports this."""
