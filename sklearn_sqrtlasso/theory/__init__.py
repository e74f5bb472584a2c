"""Facts in closed form or by seeded simulation, without data."""
