"""Live progress of one deployment: what the records say, as lines, as a board on a terminal, or as JSON."""
