"""From order and CRM records to a reviewed picture of the customers and a plan for each group."""

__version__ = "0.1.0"
