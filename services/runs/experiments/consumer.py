"""Event handlers that carry out experiments, each with the credentials of its tenant."""

from collections.abc import Callable
from functools import partial

from services.runs import wiring
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.experiments.operations.scheduling import advance, stop_if_decided, submit_trial
from services.runs.experiments.operations.scoring import end_trial, recover_trials
from shared.aws.credentials import acting_for
from shared.events.envelope import Event
from shared.events.runs import ExperimentStarted, TrialEnded, TrialScheduled
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()

_ACTIVE = "active"


@events.on(ExperimentStarted)
def continue_experiment(event: Event[ExperimentStarted], _: Delivery) -> None:
    """Continue the trials of which a message was lost, and schedule the next ones."""

    def work(lab: Laboratory) -> None:
        experiment_id = event.data.experiment_id
        submit = partial(submit_trial, lab, experiment_id, request_id=event.id)
        recover_trials(lab, experiment_id, submit=submit)
        advance(lab, experiment_id)

    _in_laboratory(event.tenant_id, work)


@events.on(TrialScheduled)
def submit_scheduled_trial(event: Event[TrialScheduled], _: Delivery) -> None:
    """Submit the run of a trial, unless it exists."""
    experiment_id, number = event.data.experiment_id, event.data.trial
    _in_laboratory(
        event.tenant_id, partial(submit_trial, experiment_id=experiment_id, number=number, request_id=event.id)
    )


@events.on(TrialEnded)
def score_ended_trial(event: Event[TrialEnded], _: Delivery) -> None:
    """Score a trial, unless that was done, and schedule the next ones."""

    def work(lab: Laboratory) -> None:
        end_trial(lab, event.data.experiment_id, event.data.trial)
        stop_if_decided(lab, event.data.experiment_id)
        advance(lab, event.data.experiment_id)

    _in_laboratory(event.tenant_id, work)


def _in_laboratory(tenant_id: str, work: Callable[[Laboratory], None]) -> None:
    """Do some work with the tenant's credentials. Nothing is done for a tenant that was deleted."""
    with acting_for(tenant_id):
        access = wiring.access(tenant_id)
        if access.status == _ACTIVE:
            work(wiring.laboratory(access))
