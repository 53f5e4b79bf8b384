"""What several compressors share: levels, classes of scale, trellises, the search for a step."""
