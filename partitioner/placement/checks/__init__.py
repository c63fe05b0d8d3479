"""What the independent checker recomputes, one constraint a file; nothing here is used by an algorithm."""
