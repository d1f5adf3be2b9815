"""Every fixed name of the mesh. Templates and the command line take them from here."""

from dataclasses import dataclass

from shared.declaration import Function, Service, Slice, Table

PRODUCT = "ainexus"
REGION = "us-east-2"
ENVIRONMENTS = ("local", "dev", "staging", "prod")
SECRETS = ("openai/key", "anthropic/key", "stripe/secret")
"""Core creates all of them empty. The operator stores the keys in them."""

DUE_INDEX = "due"
LIST_INDEX = "list"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one environment in one account and region."""

    environment: str
    account: str
    region: str = REGION

    def of(self, *parts: str) -> str:
        """Return `ainexus-<env>-<part>-<part>`."""
        return "-".join((PRODUCT, self.environment, *parts))

    def stack(self, part: str) -> str:
        """Return the name of the stack of a service, or of `core`, `edge` or `monitoring`."""
        return f"AILab{part.capitalize()}-{self.environment}"

    def table(self, table: Table) -> str:
        """Return the name of a table."""
        return self.of(table.value)

    @property
    def bucket(self) -> str:
        """The bucket of artifacts."""
        return self.of("artifacts", self.account)

    @property
    def bus(self) -> str:
        """The bus of all events."""
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
        """Core's function that publishes outbox items to the bus."""
        return self.of("publisher")

    @property
    def authorizer(self) -> str:
        """Core's function that identifies callers, and its resource in the API."""
        return self.of("authorizer")

    @property
    def alerts_topic(self) -> str:
        """The topic of alarms."""
        return f"{self.stack('core')}-AlertsTopic"

    @property
    def access_logs(self) -> str:
        """The log group of the API's access log."""
        return f"/aws/apigateway/{self.api}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every function that contain names."""
        return {
            **{table.variable: self.table(table) for table in Table},
            "ARTIFACTS_BUCKET_NAME": self.bucket,
            "EVENT_BUS_NAME": self.bus,
        }

    def secret(self, secret: str) -> str:
        """Return the name of a secret, for example `openai/key`."""
        return f"{PRODUCT}-{self.environment}/{secret}"

    def function(self, service: Service, function: Function | str) -> str:
        """Return the name of a function of a service. Its role and its queue have the same name."""
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
        """Return the name of a function's log group."""
        return f"/aws/lambda/{function}"

    def dead_letters(self, queue: str) -> str:
        """Return the name of a queue's dead-letter queue."""
        return f"{queue}-dead-letters"

    def dashboard(self, subject: str) -> str:
        """Return the name of a dashboard: `operations` or `business`."""
        return self.of(subject)

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource that has a region and an account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def table_arn(self, table: Table) -> str:
        """Return the ARN of a table."""
        return self.arn("dynamodb", f"table/{self.table(table)}")

    def role_arn(self, role: str) -> str:
        """Return the ARN of a role."""
        return f"arn:aws:iam::{self.account}:role/{role}"

    def slice_table_arns(self, owned: Slice) -> list[str]:
        """Return the ARNs of a slice's table and its `list` index."""
        return [self.table_arn(owned.table), f"{self.table_arn(owned.table)}/index/{LIST_INDEX}"]

    def due_arn(self, table: Table) -> str:
        """Return the ARN of the `due` index of a table."""
        return f"{self.table_arn(table)}/index/{DUE_INDEX}"
