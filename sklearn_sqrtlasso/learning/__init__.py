"""How parameters are learnt from data."""
