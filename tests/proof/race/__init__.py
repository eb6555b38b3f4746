"""Storms: many real nodes over many slots, and what goes wrong in production injected into them."""
