"""Timelines, queues and list rules that algorithms build schedules with."""
