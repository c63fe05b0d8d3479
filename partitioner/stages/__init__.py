"""From a configuration to a plan: the settings resolved into objects, the slots ready, one function per stage."""
