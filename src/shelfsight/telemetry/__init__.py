"""What a process tells those who run it, besides its output: logs and traces."""
