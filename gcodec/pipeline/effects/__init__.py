"""What a bound did to a tensor: measured chunk by chunk beside the certificate, and warned of.

chunk x, x̂ ── measure ──► Part ─┐
chunk x, x̂ ── measure ──► Part ─┴── combine ──► Found ──► Ruin
"""
