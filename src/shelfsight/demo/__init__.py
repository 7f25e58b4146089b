"""One command that shows it all on a shop that is drawn."""
