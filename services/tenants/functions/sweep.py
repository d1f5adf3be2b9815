"""The scheduled sweep of invitations and of rollouts of plans."""

from services.tenants.users import consumer as users

handler = users.sweep
