"""The steps, one a module, each with a function ``run`` over the run's folder."""
