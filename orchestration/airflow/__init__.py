"""What the DAGs are made of: the form, the tasks and where they run, the graph.

Nothing here trains: a task calls one function of ``orchestration.pipeline``, or its command. The
scheduler reads these modules every few seconds, so none imports a training library at its top.
"""
