"""The seeded bugs, by the room of the code that they change."""
