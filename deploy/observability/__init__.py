"""What a monitoring system is given: alert rules and a dashboard over the metrics of libs/runtime/metrics.py."""
