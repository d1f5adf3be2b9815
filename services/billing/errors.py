"""What can go wrong with customers."""

from shared.errors import Conflict


class CustomerExists(Conflict):
    """The tenant has its customer record already."""

    def __init__(self) -> None:
        super().__init__("The tenant has a customer record.")
