"""The backfill: it reads products from the shop's tables, embeds them, and stores their vectors."""
