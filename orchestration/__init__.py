"""Training: from labelled files to a registered model, as plain functions.

The pipeline's steps and the command line call the same functions; nothing here serves requests.
"""
