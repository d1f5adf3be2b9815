"""The consumer of events, also of this service's own."""

from services.tenants.audit import consumer as audit
from services.tenants.exports import consumer as exports
from services.tenants.removal import consumer as removal
from services.tenants.tenants import consumer as tenants
from services.tenants.users import consumer as users
from shared.messaging.consumer import EventConsumer

handler = EventConsumer("tenants.consumer", users.events, tenants.events, removal.events, exports.events, audit.events)
