"""Storage of users, invitations and rollouts."""
