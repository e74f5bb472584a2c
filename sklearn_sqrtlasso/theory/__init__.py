"""Theoretical quantities in closed form or by seeded simulation, without data."""
