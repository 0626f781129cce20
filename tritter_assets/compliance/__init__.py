"""Compliance: audits, notices and the papers that prove them, all written from stored tables."""
