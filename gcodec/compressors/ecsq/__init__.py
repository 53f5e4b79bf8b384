"""`ecsq`: a uniform quantiser, scale classes and rANS. The fast method."""
