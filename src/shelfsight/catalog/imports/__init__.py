"""Reads product files (CSV, Shopify, JSONL) and writes them into the shop's tables."""
