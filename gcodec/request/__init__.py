"""What a user asked for, checked: a choice for a tensor, a policy for a checkpoint."""
