"""Clients of OpenAI's API against the embedding server, each in a process of its own.

Their packages ask for other versions than ours, so they live in an environment of their own, which
`make test-clients` makes.
"""
