"""Runnable programs: ``python -m jobs.<name> CONF``, ``spark-submit``, or imported in a notebook. Not installed."""
