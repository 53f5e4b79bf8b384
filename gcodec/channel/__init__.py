"""Channels: messages of a whole list of tensors, again and again (spec/message.md)."""
