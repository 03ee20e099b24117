"""The DAGs, in a real Airflow: its parser, its ``dag.test()``, its processes and its REST API."""
