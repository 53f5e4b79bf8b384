"""`ecsq`: a uniform quantiser, classes of scale and rANS; the fast one."""
