"""The laboratory's consumer: it validates uploads of datasets, and carries out experiments.

It is a function of its own, because it acts for one tenant at a time with that tenant's credentials, and a validation
takes longer than the events of the consumer may wait.
"""

from services.runs.datasets import consumer as datasets
from services.runs.experiments import consumer as experiments
from shared.messaging.consumer import EventConsumer

handler = EventConsumer("runs.lab", datasets.events, experiments.events, concurrently=True)
