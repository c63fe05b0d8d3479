"""What would come of it elsewhere: the same work on other fleets, and two runs beside each other."""
