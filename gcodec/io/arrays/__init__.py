"""Formats whose files hold arrays one after the other."""
