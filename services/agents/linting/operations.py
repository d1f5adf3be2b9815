"""Operations of the linter: examine a document and fix it."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from services.agents.agents import operations as agents
from services.agents.agents.domain import AgentConfig
from services.agents.agents.table import AgentTable, VersionTable
from services.agents.base_urls.domain import HTTPS_ONLY, BaseUrlPolicy
from services.agents.errors import (
    FindingNotFixable,
    FindingUnknown,
    FixedConfigInvalid,
    LintNotFixable,
    PromptNotFound,
    PromptVersionNotFound,
)
from services.agents.lint_rules.domain.engine import hits_in, lint_config, lint_template
from services.agents.lint_rules.domain.finding import LintReport, Severity
from services.agents.lint_rules.domain.fixes import FixUnknown, NotFixable, fixed
from services.agents.lint_rules.domain.views import LintContext, views_of_config, views_of_template
from services.agents.lint_rules.operations import PriceAt, table_price
from services.agents.linting.domain import Lint, LintTarget
from services.agents.linting.table import LintTable
from services.agents.prompts import operations as prompts
from services.agents.prompts.domain import PromptReference
from services.agents.prompts.table import PromptTable, PromptVersionTable
from shared.storage.idempotency import IdempotencyKey
from shared.storage.objects import Documents
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class Linter:
    """The linter of one tenant's documents."""

    store: Store
    documents: Documents
    tenant_id: str
    price_at: PriceAt = table_price

    def lint_target(
        self,
        target: LintTarget,
        config: Mapping[str, Any] | None,
        *,
        lint_id: str,
        min_severity: Severity,
        now: datetime,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Lint:
        """Examine a version of an agent or prompt, or a config, and store the result.

        Args:
            target: the agent or prompt; without a version its live one.
            config: the config, if the target is neither an agent nor a prompt.
            lint_id: the id of the lint.
            min_severity: the least severity of reported findings.
            now: the time.
            idempotency_key: the idempotency record of the request.

        Raises:
            AgentNotFound, VersionNotFound, PromptNotFound, PromptVersionNotFound: there is no such version.
        """
        pinned = self._pinned(target)
        document = self._document(pinned) if config is None else config
        report = self._report(pinned, document, now=now, min_severity=min_severity)
        lint = Lint(lint_id, pinned, report, now)
        LintTable(self.store, self.tenant_id).create(lint, idempotency_key=idempotency_key)
        return lint

    def get(self, lint_id: str) -> Lint:
        """Return a stored lint.

        Raises:
            LintNotFound: no lint has this id, or it has expired.
        """
        return LintTable(self.store, self.tenant_id).get_lint(lint_id)

    def fix(
        self,
        lint_id: str,
        finding_ids: Collection[str],
        *,
        now: datetime,
        idempotency_key: IdempotencyKey | None = None,
        base_urls: BaseUrlPolicy = HTTPS_ONLY,
    ) -> LintTarget:
        """Publish a version of the linted document with the fixes of these findings. It does not go live.

        The fixes are those of the rules as they are now.

        Raises:
            LintNotFound: there is no such lint.
            LintNotFixable: its document is not stored.
            FindingUnknown, FindingNotFixable: a finding does not exist in the document, or has no fix.
            FixedConfigInvalid: the result is no valid config.
        """
        target = self.get(lint_id).target
        if not target.is_stored:
            raise LintNotFixable
        document = self._document(target)
        changed = self._fixed(target, document, finding_ids, now=now)
        if target.prompt_id:
            _, version = prompts.publish_version(
                self.store,
                self.documents,
                self.tenant_id,
                target.prompt_id,
                template=str(changed["template"]),
                live=False,
                now=now,
                idempotency_key=idempotency_key,
            )
            return replace(target, version=version.version)
        _, published = agents.publish_version(
            self.store,
            self.documents,
            self.tenant_id,
            str(target.agent_id),
            config=_valid_config(changed),
            live=False,
            now=now,
            idempotency_key=idempotency_key,
            base_urls=base_urls,
        )
        return replace(target, version=published.version)

    def _pinned(self, target: LintTarget) -> LintTarget:
        """Return the target with the version that is live now, unless it has one."""
        if target.agent_id:
            agent = AgentTable(self.store, self.tenant_id).get(target.agent_id)
            return replace(target, version=target.version or agent.live_version)
        if target.prompt_id:
            prompt = PromptTable(self.store, self.tenant_id).get(target.prompt_id)
            return replace(target, version=target.version or prompt.live_version)
        return target

    def _document(self, target: LintTarget) -> Mapping[str, Any]:
        """Return the config of a version of an agent, or a template as `{"template": …}`."""
        number = target.version or 0
        if target.prompt_id:
            version = PromptVersionTable(self.store, self.tenant_id, target.prompt_id).get_number(number)
            return {"template": prompts.read_template(self.documents, self.tenant_id, version.template)}
        published = VersionTable(self.store, self.tenant_id, str(target.agent_id)).get_number(number)
        return agents.read_config(self.documents, self.tenant_id, published.config)

    def _report(
        self, target: LintTarget, document: Mapping[str, Any], *, now: datetime, min_severity: Severity
    ) -> LintReport:
        context = self._context(document, now=now)
        if target.prompt_id:
            return lint_template(str(document["template"]), context, min_severity=min_severity)
        return lint_config(document, context, min_severity=min_severity)

    def _fixed(
        self, target: LintTarget, document: Mapping[str, Any], finding_ids: Collection[str], *, now: datetime
    ) -> dict[str, Any]:
        context = self._context(document, now=now)
        if target.prompt_id:
            views = views_of_template(str(document["template"]), context)
        else:
            views = views_of_config(document, context)
        try:
            return fixed(document, hits_in(views), finding_ids)
        except NotFixable as error:
            raise FindingNotFixable(error.finding_id) from error
        except FixUnknown as error:
            raise FindingUnknown(error.finding_id) from error

    def _context(self, document: Mapping[str, Any], *, now: datetime) -> LintContext:
        return LintContext(now.date(), self.price_at(now), self.template_of(document))

    def template_of(self, config: Mapping[str, Any]) -> str | None:
        """Return the template that a config refers to; None if it refers to none that exists."""
        reference = config.get("system_prompt")
        with suppress(ValidationError, PromptNotFound, PromptVersionNotFound):
            found = PromptReference.model_validate(reference)
            number = found.version or PromptTable(self.store, self.tenant_id).get(found.prompt_id).live_version
            version = PromptVersionTable(self.store, self.tenant_id, found.prompt_id).get_number(number)
            return prompts.read_template(self.documents, self.tenant_id, version.template)
        return None


def _valid_config(document: Mapping[str, Any]) -> AgentConfig:
    try:
        return AgentConfig.model_validate(dict(document))
    except ValidationError as error:
        raise FixedConfigInvalid from error
