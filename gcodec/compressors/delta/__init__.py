"""`delta`: exact copies as changes from a base, in units in the last place."""
