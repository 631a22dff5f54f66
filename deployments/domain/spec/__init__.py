"""What a person asks for: a `DeploymentSpecification`, parsed once at the edge into values that cannot be wrong."""
