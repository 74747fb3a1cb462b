"""Prices and budgets: pure decisions about money."""
