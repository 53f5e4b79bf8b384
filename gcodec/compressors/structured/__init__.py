"""`structured`: what a tensor has beside its values is kept, and another method codes the rest."""
