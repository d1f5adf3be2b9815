"""Every fixed name of the mesh, said once; the templates and the command line take them from here."""

from dataclasses import dataclass

from shared.declaration import Function, Service, Slice, Table

PRODUCT = "ainexus"
REGION = "us-east-2"
ENVIRONMENTS = ("local", "dev", "staging", "prod")
SECRETS = ("openai/key", "anthropic/key", "stripe/secret")
"""Core makes all of them, empty; who runs the mesh puts the keys in."""

DUE_INDEX = "due"
LIST_INDEX = "list"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one environment in one account and region."""

    environment: str
    account: str
    region: str = REGION

    def of(self, *parts: str) -> str:
        """`ainexus-<env>-<part>-<part>`."""
        return "-".join((PRODUCT, self.environment, *parts))

    def stack(self, part: str) -> str:
        """The stack of a service, or of one of `core`, `edge` and `monitoring`."""
        return f"AILab{part.capitalize()}-{self.environment}"

    def table(self, table: Table) -> str:
        """A table."""
        return self.of(table.value)

    @property
    def bucket(self) -> str:
        """The bucket of artifacts."""
        return self.of("artifacts", self.account)

    @property
    def bus(self) -> str:
        """The bus that all events pass."""
        return self.of("events")

    @property
    def user_pool(self) -> str:
        """The user pool."""
        return self.of("users")

    @property
    def api(self) -> str:
        """The REST API, and core's own function behind it."""
        return self.of("api")

    @property
    def publisher(self) -> str:
        """Core's function that brings outbox items to the bus."""
        return self.of("publisher")

    @property
    def alerts_topic(self) -> str:
        """The topic that alarms go to."""
        return f"{self.stack('core')}-AlertsTopic"

    @property
    def access_logs(self) -> str:
        """The log group of the API's access log."""
        return f"/aws/apigateway/{self.api}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every function that carry names."""
        return {
            **{table.variable: self.table(table) for table in Table},
            "ARTIFACTS_BUCKET_NAME": self.bucket,
            "EVENT_BUS_NAME": self.bus,
        }

    def secret(self, secret: str) -> str:
        """A secret, for example `openai/key`."""
        return f"{PRODUCT}-{self.environment}/{secret}"

    def function(self, service: Service, function: Function | str) -> str:
        """A function of a service; its role and its queue have the same name."""
        return self.of(service.name, function if isinstance(function, str) else function.name)

    def queues(self, service: Service, function: Function) -> dict[str, tuple[str, ...]]:
        """Return the queues that wake a function, by name, each with the event types that it receives."""
        name = self.function(service, function)
        own = {name: function.data} if function.has_queue else {}
        return {**own, **({self.control_queue(name): function.control} if function.control else {})}

    def control_queue(self, function: str) -> str:
        """Return the name of the queue of a function's control events."""
        return f"{function}-control"

    def data_role(self, service: Service, function: Function) -> str:
        """Return the name of the role that a function assumes for one tenant."""
        return self.of(service.name, function.name, "data")

    def logs(self, function: str) -> str:
        """The log group of a function."""
        return f"/aws/lambda/{function}"

    def dead_letters(self, queue: str) -> str:
        """The queue of what a queue's consumer could not handle."""
        return f"{queue}-dead-letters"

    def dashboard(self, subject: str) -> str:
        """A dashboard: `operations` or `business`."""
        return self.of(subject)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something that has a region and an account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def table_arn(self, table: Table) -> str:
        """The ARN of a table."""
        return self.arn("dynamodb", f"table/{self.table(table)}")

    def role_arn(self, role: str) -> str:
        """The ARN of a role."""
        return f"arn:aws:iam::{self.account}:role/{role}"

    def slice_table_arns(self, owned: Slice) -> list[str]:
        """A slice's table with its `list` index."""
        return [self.table_arn(owned.table), f"{self.table_arn(owned.table)}/index/{LIST_INDEX}"]

    def due_arn(self, table: Table) -> str:
        """The `due` index of a table."""
        return f"{self.table_arn(table)}/index/{DUE_INDEX}"
