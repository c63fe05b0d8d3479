"""Environment variables by which the Python processes of Spark on one machine find one another."""

PARENT = "PARTITIONER_SPARK_PARENT"
"""The socket at which the process listens that all Python daemons are forked from."""

JVM = "PARTITIONER_SPARK_JVM"
"""In a daemon that was forked there: the process of the JVM that wanted it."""
