"""The sweep over all work that is due, once a minute."""

from services.billing.sweep.consumer import sweep
from shared.messaging.schedule import scheduled

handler = scheduled("swept")(sweep)
