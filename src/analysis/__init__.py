"""From order and CRM records to a reviewed picture of customers and a plan for each group."""

__version__ = "0.1.0"
