"""Where products come from: the shop's tables, files to import, the generated demo shop."""
