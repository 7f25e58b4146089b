"""The indexes of the vectors: built, dropped, measured."""
