"""From text to a specification, or to everything that is wrong with it at once."""
