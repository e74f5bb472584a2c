"""The square-root lasso of one target on a design, with a duality gap."""
