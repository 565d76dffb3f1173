"""gear's commands: ``geard``."""
