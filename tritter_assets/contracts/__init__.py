"""Contracts, policy, mixes and profiles: everything that a person writes by hand, parsed."""
