"""Training: from labelled files to a registered model version."""
