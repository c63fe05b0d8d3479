"""The coordinator: a pure state machine (``machine``), and the loop that feeds it (``driver``)."""
