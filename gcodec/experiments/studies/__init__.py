"""A module for each experiment: what it measures, and its results as numbers."""
