"""The contract between services: every event that travels, one module per publishing topic, plain frozen data."""
