"""What several compressors share: levels, scale classes, quantisers and the search for a step."""
