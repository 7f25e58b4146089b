"""The two HTTP apps, and what they have in common."""
