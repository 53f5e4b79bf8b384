"""What a container holds: records, and tensors that share one."""
