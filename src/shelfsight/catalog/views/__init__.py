"""Reads a catalogue under other names through views, which a preset or your own file defines."""
