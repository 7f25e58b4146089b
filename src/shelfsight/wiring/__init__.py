"""From settings to objects: chooses the implementation of each port, imported when it is needed."""
