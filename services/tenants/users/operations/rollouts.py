"""Rollouts of a tenant's plan to all its users in the pool, page by page, so that their tokens contain the plan.

A tenant may have more users than one invocation can update, because Cognito accepts some 25 changes of users a second
(https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html). The event therefore makes the tenant due and
updates the first page. The sweep updates the others.
"""

from datetime import datetime

from services.tenants.errors import TenantNotFound
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users.gateway.user_pool import UserPool
from services.tenants.users.operations.pool_sync import sync_user
from services.tenants.users.table.rollouts import ROLLOUTS, DueUserTable, RolloutTable
from services.tenants.users.table.users import UserTable
from shared.deadline import remaining_s
from shared.errors import DependencyUnavailable
from shared.failures import facts_of
from shared.observability import logger
from shared.storage.due import DueEntry, DueQueue
from shared.storage.store import Store
from shared.sweep import Swept, sweep

PAGE_SIZE = 25
"""Users who are updated between two records of the progress: one to three seconds of work."""


def roll_out_plan(store: Store, user_pool: UserPool, tenant_id: str, rollout_id: str, *, now: datetime) -> None:
    """Begin to update all users of a tenant to its plan: the first page now, the others in the sweep.

    Args:
        store: the slice.
        user_pool: the user pool.
        tenant_id: the tenant.
        rollout_id: the id of the change of the plan. A later rollout begins again with the first user.
        now: the time.
    """
    rollouts = RolloutTable(store, tenant_id)
    try:
        rollouts.begin(rollout_id, now=now)
        sync_page(store, user_pool, tenant_id, now=now)
    except TenantNotFound:
        return
    except DependencyUnavailable as error:
        if rollouts.find() is None:
            raise
        logger.warning("plan left to the sweep", tenant_id=tenant_id, **facts_of(error))


def sweep_rollouts(store: Store, user_pool: UserPool, *, now: datetime) -> Swept:
    """Update a page of users of each due tenant in turn, until all are finished or the invocation's time is over."""

    def handle(entry: DueEntry) -> bool:
        try:
            return _handle(store, user_pool, entry, now=now)
        except TenantNotFound:
            # The entry is removed with the data of the tenant.
            return True

    total, queue = Swept(), DueQueue(store, ROLLOUTS)
    while True:
        swept = sweep(queue, handle, now=now)
        total.handled += swept.handled
        total.failed += swept.failed
        total.quarantined += swept.quarantined
        total.left = swept.left
        if all(swept.results) or remaining_s() <= 0:
            return total


def _handle(store: Store, user_pool: UserPool, entry: DueEntry, *, now: datetime) -> bool:
    due_users = DueUserTable(store, entry.tenant_id)
    user_id = due_users.user_of(entry)
    if user_id is None:
        return sync_page(store, user_pool, entry.tenant_id, now=now)
    sync_user(store, user_pool, entry.tenant_id, user_id)
    due_users.remove(entry)
    return True


def sync_page(store: Store, user_pool: UserPool, tenant_id: str, *, now: datetime) -> bool:
    """Update the next page of users of a tenant's rollout. Return whether the rollout is finished.

    A user whose update fails becomes a due entry of its own, so that the others can continue.

    Raises:
        DependencyUnavailable: the pool or the table does not respond. The progress is recorded.
    """
    rollouts = RolloutTable(store, tenant_id)
    rollout = rollouts.find()
    if rollout is None:
        return True
    page = UserTable(store, tenant_id).page_of_ids(rollout.user_id, limit=PAGE_SIZE)
    done = rollout.user_id
    try:
        for user_id in page:
            _sync_or_defer(store, user_pool, tenant_id, user_id, now=now)
            done = user_id
    finally:
        if done and done != rollout.user_id:
            rollouts.save_progress(rollout, user_id=done)
    is_finished = len(page) < PAGE_SIZE
    if is_finished:
        rollouts.finish(rollout)
    return is_finished


def _sync_or_defer(store: Store, user_pool: UserPool, tenant_id: str, user_id: str, *, now: datetime) -> None:
    try:
        sync_user(store, user_pool, tenant_id, user_id)
    except DependencyUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 — one user must not stop the others
        logger.warning("user not followed", tenant_id=tenant_id, user_id=user_id, **facts_of(error))
        TenantRecord(store, tenant_id).get()
        DueUserTable(store, tenant_id).make_due(user_id, now=now)
